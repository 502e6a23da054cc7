// The full-size CIFAR-10 NCSN++ (56.4 M parameters, random weights): images per second, and the share of what the
// machine's matrix product reaches on the same threads.
//   lcsc_bench_ncsnpp [BATCH [THREADS]]
//   lcsc_bench_ncsnpp --serve FOLDER BATCH THREADS   for ncsnpp_compare.py: writes FOLDER/weights.safetensors and
//     io.safetensors (x, sigma, denoised), then answers each line of standard input with the seconds of one pass, on
//     the clock and of CPU time
#include <ATen/record_function.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>

#include "lcsc/io/safetensors.h"
#include "lcsc/model/registry.h"
#include "lcsc/model/threads.h"

namespace lcsc {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kResolution = 32;
constexpr std::int64_t kParameters = 56'397'827;

// EDM's arguments for CIFAR-10, unconditional, architecture ncsnpp; its ddpmpp has 55.7 M.
Json NetworkJson() {
  return {{"model_type", "SongUNet"},
          {"precond", "EDMPrecond"},
          {"img_resolution", kResolution},
          {"img_channels", 3},
          {"augment_dim", 9},
          {"model_channels", 128},
          {"channel_mult", {2, 2, 2}},
          {"channel_mult_emb", 4},
          {"num_blocks", 4},
          {"attn_resolutions", {16}},
          {"dropout", 0.13},
          {"embedding_type", "fourier"},
          {"channel_mult_noise", 2},
          {"encoder_type", "residual"},
          {"decoder_type", "standard"},
          {"resample_filter", {1, 3, 3, 1}}};
}

// Fresh weights make every residual branch almost zero, which would hide its errors: these are of a trained size.
void Randomise(Denoiser& network) {
  const at::NoGradGuard no_grad;
  for (at::Tensor& weight : network.parameters()) {
    if (weight.dim() > 1) {
      weight.normal_(0, 1 / std::sqrt(static_cast<double>(weight[0].numel())));
    } else {
      weight.add_(at::randn_like(weight), 0.1);
    }
  }
}

double Seconds(const std::function<void()>& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double MedianSeconds(int times, const std::function<void()>& action) {
  std::vector<double> seconds;
  for (int i = 0; i < times; ++i) seconds.push_back(Seconds(action));
  std::ranges::nth_element(seconds, seconds.begin() + times / 2);
  return seconds[static_cast<std::size_t>(times / 2)];
}

double counted_flops = 0;

// Two operations for each weight that an output element meets.
std::unique_ptr<at::ObserverContext> CountFlops(const at::RecordFunction& call) {
  const std::string name = call.name();
  const auto tensor = [&](std::size_t i) { return call.inputs()[i].toTensor(); };
  if (name == "aten::convolution") {
    const at::Tensor x = tensor(0), weight = tensor(1);
    const std::int64_t stride = call.inputs()[3].toIntVector()[0];
    const bool transposed = call.inputs()[6].toBool();
    const std::int64_t places = x.size(0) * x.size(2) * x.size(3) / (transposed ? 1 : stride * stride);
    counted_flops += 2.0 * static_cast<double>(places * weight.numel());
  } else if (name == "aten::bmm") {
    counted_flops += 2.0 * static_cast<double>(tensor(0).numel() * tensor(1).size(2));
  }
  return nullptr;
}

double FlopsOf(const std::function<void()>& action) {
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback(CountFlops).needsInputs(true));
  action();
  at::removeCallback(handle);
  return counted_flops;
}

// What a matrix product in float32 reaches: the ceiling of everything a network is made of.
double CeilingFlopsPerSecond() {
  constexpr std::int64_t kSide = 1536;
  const at::Tensor a = at::rand({kSide, kSide}), b = at::rand({kSide, kSide});
  at::Tensor c = at::mm(a, b);
  return 2.0 * std::pow(kSide, 3) / MedianSeconds(5, [&] { at::mm_out(c, a, b); });
}

struct Inputs {
  at::Tensor x, sigma;
};

Inputs MakeInputs(std::int64_t batch) {
  const at::Tensor sigma = at::logspace(std::log10(0.05), std::log10(80.0), batch);
  return {at::randn({batch, 3, kResolution, kResolution}) * sigma.view({-1, 1, 1, 1}), sigma};
}

void Report(Denoiser& network, const Inputs& inputs, int threads) {
  const c10::InferenceMode no_gradients;
  const auto pass = [&] { network.Denoise(inputs.x, inputs.sigma, {}); };
  const auto batch = static_cast<double>(inputs.x.size(0));
  const double flops = FlopsOf(pass), seconds = MedianSeconds(5, pass), ceiling = CeilingFlopsPerSecond();
  std::printf(
      "NCSN++ 32 x 32, batch %g, %d threads: %.3f images/s, %.1f GFLOP an image, %.0f %% of the %.0f GFLOP/s of a "
      "matrix product\n",
      batch, threads, batch / seconds, flops / batch * 1e-9, 100 * flops / seconds / ceiling, ceiling * 1e-9);
}

void Serve(Denoiser& network, const Inputs& inputs, const std::filesystem::path& folder) {
  const c10::InferenceMode no_gradients;
  const at::Tensor denoised = network.Denoise(inputs.x, inputs.sigma, {});
  WriteSafetensors(folder / "weights.safetensors", StateDict(network), {{"config", NetworkJson().dump()}});
  WriteSafetensors(folder / "io.safetensors", {{"x", inputs.x}, {"sigma", inputs.sigma}, {"denoised", denoised}});
  std::cout << "weights and inputs are written" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const std::clock_t cpu_begin = std::clock();
    const double seconds = Seconds([&] { network.Denoise(inputs.x, inputs.sigma, {}); });
    std::cout << seconds << " " << static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC << std::endl;
  }
}

int Main(const std::vector<std::string>& arguments) {
  const bool serve = !arguments.empty() && arguments[0] == "--serve";
  const std::size_t first = serve ? 2 : 0;
  const auto number = [&](std::size_t i, int fallback) {
    return arguments.size() > first + i ? std::stoi(arguments[first + i]) : fallback;
  };
  const int batch = number(0, 8), threads = number(1, 1);
  SetArithmeticThreads(threads);
  at::manual_seed(1);
  const auto network = MakeDenoiser(NetworkJson());
  Randomise(*network);
  network->eval();
  std::int64_t parameters = 0;
  for (const at::Tensor& weight : network->parameters()) parameters += weight.numel();
  if (parameters != kParameters) {
    std::fprintf(stderr, "the network has %ld parameters, expected %ld\n", parameters, kParameters);
    return 1;
  }
  const Inputs inputs = MakeInputs(batch);
  if (serve) {
    Serve(*network, inputs, arguments.at(1));
  } else {
    Report(*network, inputs, threads);
  }
  return 0;
}

}  // namespace
}  // namespace lcsc

int main(int argc, char** argv) {
  try {
    return lcsc::Main({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lcsc_bench_ncsnpp: %s\n", error.what());
    return 1;
  }
}
