// make_tiny_project FOLDER: what a tiny search needs, in a folder that stays: five checkpoints, an extractor, a
// reference, and search.ini, whose trajectory (tiny.traj) is still to be packed. Its search has no end that a test
// would live to see: the test writes another number of epochs.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "service/tiny_models.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_tiny_project FOLDER\n", stderr);
    return 2;
  }
  const std::filesystem::path folder = std::filesystem::absolute(argv[1]);
  const lcsc::TinyModels models(folder / "models");
  for (int i = 1; i <= 5; ++i) {
    models.WriteCheckpoint("step-" + std::to_string(10 * i), models.Weights(static_cast<std::uint64_t>(i), 0.02),
                           10 * i);
  }
  std::ofstream config(folder / "search.ini");
  config << "[evaluation]\ntrajectory = " << (folder / "tiny.traj").string()
         << "\nextractor = " << models.extractor_path().string() << "\nreference = " << models.reference_path().string()
         << "\nnum_samples = 160\nbatch_size = 16\n"
            "[search]\nepochs = 100000\nchildren = 10\nema_rates = 0,0.9,0.95\n"
            "[run]\nthreads = 1\n";
  return config.flush() ? 0 : 1;
}
