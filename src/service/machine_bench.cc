#include "lcsc/service/machine_bench.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

namespace lcsc {
namespace {

double SecondsOfCall(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double CopyBytesPerSecond(double budget_seconds) {
  constexpr std::int64_t kElements = 32'000'000;
  const at::Tensor source = at::zeros({kElements}), target = at::zeros({kElements});
  return 2.0 * static_cast<double>(source.nbytes()) / FastestSeconds(budget_seconds, [&] { target.copy_(source); });
}

double ConvolutionFlopsPerSecond(double budget_seconds) {
  constexpr std::int64_t kImages = 8, kChannels = 256, kSide = 32;
  const auto last = at::MemoryFormat::ChannelsLast;
  const at::Tensor x = at::rand({kImages, kChannels, kSide, kSide}).contiguous(last);
  const at::Tensor weight = at::rand({kChannels, kChannels, 3, 3}).contiguous(last);
  const double flops = 2.0 * kImages * kChannels * kChannels * kSide * kSide * 9;
  return flops / FastestSeconds(budget_seconds, [&] { at::conv2d(x, weight, {}, {1, 1}, {1, 1}); });
}

// Of the count that is being made in this thread.
thread_local double counted_flops = 0;

void Count(std::int64_t places, const at::Tensor& weight) {
  counted_flops += 2 * static_cast<double>(places) * static_cast<double>(weight.numel());
}

// Pixels that the kernel of a convolution is laid on, all images together.
std::int64_t Places(const std::vector<std::int64_t>& sizes, const std::vector<std::int64_t>& stride) {
  std::int64_t places = sizes[0];
  for (std::size_t i = 2; i < sizes.size(); ++i) places *= sizes[i] / stride[stride.size() == 1 ? 0 : i - 2];
  return places;
}

std::unique_ptr<at::ObserverContext> CountCall(const at::RecordFunction& call) {
  const std::string name = call.name();
  const auto inputs = call.inputs();
  const auto tensor = [&](std::size_t i) { return inputs[i].toTensor(); };
  if (name == "aten::convolution") {
    const bool transposed = inputs[6].toBool();
    const std::vector<std::int64_t> stride = transposed ? std::vector<std::int64_t>{1} : inputs[3].toIntVector();
    Count(Places(tensor(0).sizes().vec(), stride), tensor(1));
  } else if (name == "mkldnn_prepacked::conv2d_prepack") {
    Count(Places(inputs[6].toIntVector(), inputs[2].toIntVector()), tensor(0));
  } else if (name == "aten::mm" || name == "aten::addmm") {
    const std::size_t left = name == "aten::mm" ? 0 : 1;
    Count(tensor(left).size(0), tensor(left + 1));
  } else if (name == "aten::bmm") {
    Count(tensor(0).size(1), tensor(1));
  }
  return nullptr;
}

}  // namespace

double FastestSeconds(double budget_seconds, const std::function<void()>& work) {
  constexpr int kMinCalls = 3;
  work();
  double fastest = SecondsOfCall(work), spent = fastest;
  for (int calls = 1; calls < kMinCalls || spent < budget_seconds; ++calls) {
    const double seconds = SecondsOfCall(work);
    spent += seconds;
    fastest = std::min(fastest, seconds);
  }
  return fastest;
}

double MeasureProduct(double budget_seconds, std::int64_t side) {
  const c10::InferenceMode no_gradients;
  const at::Tensor a = at::rand({side, side}), b = at::rand({side, side});
  at::Tensor c = at::mm(a, b);
  return 2.0 * std::pow(side, 3) / FastestSeconds(budget_seconds, [&] { at::mm_out(c, a, b); });
}

std::string BlasLibrary() {
  // What the loader would give LibTorch; one that has its BLAS inside may keep the name to itself.
  const void* symbol = dlsym(RTLD_DEFAULT, "sgemm_");
  if (symbol == nullptr) symbol = reinterpret_cast<const void*>(&at::get_num_threads);
  Dl_info info{};
  if (dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return "unknown";
  std::error_code error;
  const auto path = std::filesystem::canonical(info.dli_fname, error);
  return error ? info.dli_fname : path.string();
}

MachineRates MeasureMachine(double budget_seconds) {
  const c10::InferenceMode no_gradients;
  return {.threads = at::get_num_threads(),
          .copy_bytes_per_second = CopyBytesPerSecond(budget_seconds),
          .product_flops_per_second = MeasureProduct(budget_seconds),
          .convolution_flops_per_second = ConvolutionFlopsPerSecond(budget_seconds)};
}

double CountFlops(const std::function<void()>& work) {
  struct Counting {
    at::CallbackHandle handle = at::addThreadLocalCallback(at::RecordFunctionCallback(CountCall).needsInputs(true));
    ~Counting() { at::removeCallback(handle); }
  };
  const Counting counting;
  counted_flops = 0;
  work();
  return counted_flops;
}

}  // namespace lcsc
