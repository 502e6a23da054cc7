// lcsc: finds the linear combination of a training run's checkpoints whose images are best.
#include <cstdio>

#include "app/command.h"
#include "lcsc/base/log.h"
#include "lcsc/base/stop_signal.h"

int main(int argc, char** argv) {
  lcsc::World world;
  try {
    world = lcsc::StartMpi(&argc, &argv);
    lcsc::InitLog(world.world_rank, world.world_size);
    lcsc::InstallStopSignals();
    const lcsc::ExitCode code = lcsc::RunCommandLine(world, {argv + 1, argv + argc});
    lcsc::FinishMpi();
    return static_cast<int>(code);
  } catch (const lcsc::SetUpError& error) {
    if (world.world_rank == 0) std::fprintf(stderr, "lcsc: error: %s\n", error.what());
    lcsc::FinishMpi();
    return static_cast<int>(error.exit_code());
  } catch (const lcsc::Error& error) {
    std::fprintf(stderr, "lcsc: error: %s\n", error.what());
    lcsc::AbortMpi(static_cast<int>(error.exit_code()));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lcsc: unexpected error: %s\n", error.what());
    lcsc::AbortMpi(static_cast<int>(lcsc::ExitCode::kFailed));
  }
}
