// lcsc: finds the linear combination of a training run's checkpoints whose images are best.
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "app/command.h"
#include "lcsc/base/log.h"

int main(int argc, char** argv) {
  lcsc::World world;
  try {
    world = lcsc::StartMpi(&argc, &argv);
    lcsc::InitLog(world.world_rank, world.world_size);
    const lcsc::ExitCode code = lcsc::RunCommandLine(world, {argv + 1, argv + argc});
    if (std::fflush(stdout) != 0) throw lcsc::IoError("cannot write to stdout: {}", std::strerror(errno));
    lcsc::FinishMpi();
    return static_cast<int>(code);
  } catch (const lcsc::SetUpError& error) {
    if (world.world_rank == 0) std::fprintf(stderr, "lcsc: error: %s\n", error.what());
    lcsc::FinishMpi();
    return static_cast<int>(error.exit_code());
  } catch (...) {
    lcsc::AbortWith(std::current_exception());
  }
}
