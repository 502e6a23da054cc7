// SIGTERM, SIGINT and SIGUSR1 set a flag; whoever works looks at it between two units of work and ends cleanly.
#pragma once

namespace lcsc {

// Installs the handlers: for commands that look at the flag. Call once, after MPI is initialised. A second SIGINT ends
// the program at once.
void InstallStopSignals();
// True once a stop was asked for. Safe from any thread.
bool StopRequested();
// A stop is asked for when so many seconds have passed from now. Call before other threads start.
void SetStopDeadline(double seconds);
// Name of the signal that asked ("SIGTERM"), or "the time limit", or "" while none did.
const char* StopSignalName();
// Sets or clears the flag by hand; for tests and for stops that come as a message.
void SetStopRequested(bool requested);

}  // namespace lcsc
