// Checkpoints of a small network for the tests of this room.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "lcsc/io/safetensors.h"
#include "lcsc/store/packer.h"
#include "support/temp_folder.h"

namespace lcsc {

inline constexpr const char* kNetworkJson = R"({"model_type":"toy"})";

// float32 tensors "a" [3, 4] and "b" [5], a running mean and a counter. In checkpoint `i` every weight lies within a
// factor of two of its value in checkpoint 0, so that float32 deltas are exact.
inline NamedTensors ToyTensors(std::int64_t i) {
  const double drift = 1 + 0.01 * static_cast<double>(i);
  return {{"a", (at::arange(12, at::kFloat).reshape({3, 4}) + 0.3) * drift},
          {"b", (at::arange(5, at::kFloat) - 7.7) / drift},
          {"norm.num_batches_tracked", at::full({}, 100 + i, at::kLong)},
          {"norm.running_mean", at::full({2}, 0.5 * static_cast<double>(i), at::kFloat)}};
}
inline constexpr std::int64_t kToyParameters = 17;

// theta of checkpoint `i`: the merged tensors by name, flattened.
inline at::Tensor ToyTheta(std::int64_t i) {
  const NamedTensors tensors = ToyTensors(i);
  return at::cat({tensors.at("a").flatten(), tensors.at("b")});
}

// A folder with checkpoints, and packing of it.
class CheckpointFolder {
 public:
  // Writes ckpt/NAME with toy tensors of index `i`.
  void Write(const std::string& name, std::int64_t i) { Write(name, ToyTensors(i)); }
  void Write(const std::string& name, const NamedTensors& tensors) {
    std::filesystem::create_directory(folder_ / "ckpt");
    WriteSafetensors(folder_ / "ckpt" / name, tensors, {{"config", kNetworkJson}});
  }
  // ckpt/step-<10 i>.safetensors for i in [begin, end).
  void WriteSteps(std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) Write(NameOf(i), i);
  }
  static std::string NameOf(std::int64_t i) { return "step-" + std::to_string(10 * i) + ".safetensors"; }

  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
  std::filesystem::path output() const { return folder_ / "x.traj"; }
  PackOptions Options() const {
    PackOptions options;
    options.checkpoints = (folder_ / "ckpt" / "*.safetensors").string();
    options.output = output();
    return options;
  }
  PackReport PackAll() const { return Pack(Options()); }

 private:
  TempFolder folder_;
};

}  // namespace lcsc
