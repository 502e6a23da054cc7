// One measurement of our Fréchet distance for tests/bench/fid_python.py: reads the features and the reference's
// statistics, prints the value and the seconds of each part as one JSON object.
//   lcsc_bench_fid features.npz reference.npz THREADS
#include <c10/core/InferenceMode.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "lcsc/io/npz.h"
#include "lcsc/metric/frechet.h"
#include "lcsc/model/threads.h"

namespace lcsc {
namespace {

class Stopwatch {
 public:
  // Seconds since the last lap.
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - start_).count();
    start_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void Measure(const char* features_path, const char* reference_path, int threads) {
  SetArithmeticThreads(threads);
  const c10::InferenceMode no_gradients;
  const at::Tensor features = ReadNpz(features_path, {"features"}).at("features");
  const ReferenceFile file = ReadReference(reference_path);
  // Wakes the threads and loads the libraries, as a search has done long before.
  at::randn({256, 256}, at::kDouble).mm(at::randn({256, 256}, at::kDouble));
  Stopwatch stopwatch;
  const FrechetReference reference(file.statistics);
  const double reference_s = stopwatch.Lap();
  FeatureStatistics statistics(features.size(1));
  statistics.Add(features);
  const GaussianStatistics gaussian = GaussianOf(statistics);
  const double statistics_s = stopwatch.Lap();
  const double distance = reference.Distance(gaussian);
  const double distance_s = stopwatch.Lap();
  std::printf("{\"fid\": %.17g, \"reference_s\": %.6f, \"statistics_s\": %.6f, \"distance_s\": %.6f}\n", distance,
              reference_s, statistics_s, distance_s);
}

}  // namespace
}  // namespace lcsc

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: lcsc_bench_fid features.npz reference.npz THREADS\n");
    return 2;
  }
  try {
    lcsc::Measure(argv[1], argv[2], std::atoi(argv[3]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lcsc_bench_fid: %s\n", error.what());
    return 2;
  }
  return 0;
}
