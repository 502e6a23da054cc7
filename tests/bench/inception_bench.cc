// The FID Inception: images per second, and the share of what the machine's convolution reaches on the same threads.
//   lcsc_bench_inception [BATCH [THREADS]]
//   lcsc_bench_inception --serve FOLDER BATCH THREADS   for inception_compare.py: writes FOLDER/io.npz (images,
//     features), then answers each line of standard input with the seconds of one batch, on the clock and of CPU time
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/io/npz.h"
#include "lcsc/model/inception.h"
#include "lcsc/model/threads.h"
#include "support/formula_weights.h"

namespace lcsc {
namespace {

constexpr double kMultiplyAdds = 5'711'168'096.0;  // of one image of 299 x 299, all convolutions
constexpr int kRounds = 5;

Inception FormulaInception() {
  return Inception(InceptionFormulaWeights(), "formula", {.protocol = InceptionProtocol::kPytorchFid});
}

struct Seconds {
  double wall, cpu;
};

Seconds Time(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu_start = std::clock();
  run();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
          static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC};
}

double BestWall(const std::function<void()>& run) {
  run();
  double best = 1e9;
  for (int i = 0; i < kRounds; ++i) best = std::min(best, Time(run).wall);
  return best;
}

// Multiply-adds per second of one large convolution: what this machine can do.
double ConvolutionRate() {
  constexpr std::int64_t kImages = 8, kChannels = 256, kSide = 32;
  const at::Tensor x = at::rand({kImages, kChannels, kSide, kSide}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor weight = at::rand({kChannels, kChannels, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast);
  const double seconds = BestWall([&] { at::conv2d(x, weight, {}, {1, 1}, {1, 1}); });
  return static_cast<double>(kImages * kChannels * kChannels * kSide * kSide * 9) / seconds;
}

void Print(std::int64_t batch, int threads) {
  Inception inception = FormulaInception();
  const at::Tensor images = at::randint(0, 256, {batch, 3, 32, 32}, at::kByte);
  const double rate = ConvolutionRate();
  const double per_second = static_cast<double>(batch) / BestWall([&] { inception.Features(images); });
  const double floor = rate / kMultiplyAdds;
  std::printf(
      "Inception, batch %ld, %d threads: %.2f images/s, %.0f GFLOP/s; the convolutions alone at this machine's "
      "%.0f GFLOP/s: %.2f images/s; share %.2f\n",
      static_cast<long>(batch), threads, per_second, 2e-9 * per_second * kMultiplyAdds, 2e-9 * rate, floor,
      per_second / floor);
}

void Serve(const std::filesystem::path& folder, std::int64_t batch) {
  Inception inception = FormulaInception();
  const at::Tensor images = at::randint(0, 256, {batch, 3, 32, 32}, at::kByte);
  WriteNpz(folder / "io.npz", {{"images", images}, {"features", inception.Features(images)}});
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const Seconds seconds = Time([&] { inception.Features(images); });
    std::cout << seconds.wall << " " << seconds.cpu << std::endl;
  }
}

}  // namespace
}  // namespace lcsc

int main(int argc, char** argv) {
  try {
    const c10::InferenceMode no_gradients;
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const bool serve = arguments.size() == 4 && arguments[0] == "--serve";
    const std::size_t first = serve ? 2 : 0;
    const int batch = arguments.size() > first ? std::stoi(arguments[first]) : 32;
    const int threads = arguments.size() > first + 1 ? std::stoi(arguments[first + 1]) : 2;
    lcsc::SetArithmeticThreads(threads);
    serve ? lcsc::Serve(arguments[1], batch) : lcsc::Print(batch, threads);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lcsc_bench_inception: %s\n", error.what());
    return 1;
  }
}
