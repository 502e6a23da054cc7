// A small base model on disk, and LoRA checkpoints of it in any dialect, with factors from torch's seeded generator.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <string>
#include <vector>

#include "lcsc/io/safetensors.h"
#include "lcsc/store/packer.h"
#include "support/temp_folder.h"

namespace lcsc {

// How a training code names the factors of a module; no alpha: "".
struct LoraDialect {
  std::string title;
  std::function<std::string(std::string module)> down, up, alpha;
};

inline std::string Underscored(std::string module) {
  for (char& letter : module) letter = letter == '.' ? '_' : letter;
  return module;
}

inline LoraDialect KohyaDialect() {
  const auto named = [](const char* end) {
    return [end](const std::string& module) { return "lora_unet_" + Underscored(module) + end; };
  };
  return {"kohya", named(".lora_down.weight"), named(".lora_up.weight"), named(".alpha")};
}

inline LoraDialect DottedDialect(const std::string& title, const std::string& prefix, const std::string& down,
                                 const std::string& up) {
  const auto named = [prefix](const std::string& end) {
    return [=](const std::string& module) { return prefix + module + end; };
  };
  return {title, named(down), named(up), [](const std::string&) { return std::string(); }};
}

// A linear layer, a 3x3 and a 1x1 convolution; a bias and a counter that no factor touches. Ranks 2, 3 and 1.
class LoraFolder {
 public:
  struct Layer {
    std::string module;
    std::vector<std::int64_t> shape;
    std::int64_t rank;
    double alpha;
  };
  static std::vector<Layer> Layers() {
    return {{"down_blocks.0.res_net.fc", {7, 5}, 2, 4.0},
            {"down_blocks.0.conv_in", {6, 4, 3, 3}, 3, 1.5},
            {"mid.mix", {3, 4, 1, 1}, 1, 1.0}};
  }

  LoraFolder() {
    at::manual_seed(21);
    for (const Layer& layer : Layers()) base_[layer.module + ".weight"] = at::randn(layer.shape);
    base_["mid.mix.bias"] = at::randn({3});
    base_["mid.steps"] = at::full({}, 77, at::kLong);
    WriteBase("base.safetensors", base_);
  }

  void WriteBase(const std::string& name, const NamedTensors& tensors) const {
    WriteSafetensors(folder_ / name, tensors, {{"config", R"({"model_type":"toy"})"}});
  }

  // The base model's floating-point tensors in this type.
  void CastBase(at::ScalarType type) {
    for (auto& [name, tensor] : base_) tensor = tensor.is_floating_point() ? tensor.to(type) : tensor;
    WriteBase("base.safetensors", base_);
  }

  // Random factors A and B of the layers, in the dialect's names.
  NamedTensors Factors(const LoraDialect& dialect, std::uint64_t seed, at::ScalarType type = at::kFloat) const {
    at::manual_seed(seed);
    NamedTensors tensors;
    for (const Layer& layer : Layers()) {
      std::vector<std::int64_t> down = layer.shape, up(layer.shape.size(), 1);
      down[0] = up[1] = layer.rank;
      up[0] = layer.shape[0];
      tensors[dialect.down(layer.module)] = at::randn(down).to(type);
      tensors[dialect.up(layer.module)] = at::randn(up).to(type);
      if (const std::string alpha = dialect.alpha(layer.module); !alpha.empty()) {
        tensors[alpha] = at::full({}, layer.alpha, type);
      }
    }
    return tensors;
  }

  void WriteCheckpoint(std::int64_t step, const NamedTensors& tensors) const {
    std::filesystem::create_directory(folder_ / "lora");
    WriteSafetensors(folder_ / "lora" / ("step-" + std::to_string(step) + ".safetensors"), tensors);
  }
  void WriteCheckpoints(const LoraDialect& dialect, std::int64_t count, at::ScalarType type = at::kFloat) const {
    for (std::int64_t i = 0; i < count; ++i) {
      WriteCheckpoint(i + 1, Factors(dialect, static_cast<std::uint64_t>(100 + i), type));
    }
  }

  PackOptions Options() const {
    PackOptions options;
    options.checkpoints = folder_ / "lora" / "*.safetensors";
    options.output = folder_ / "x.traj";
    options.base_model = folder_ / "base.safetensors";
    return options;
  }

  const NamedTensors& base() const { return base_; }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  TempFolder folder_;
  NamedTensors base_;
};

}  // namespace lcsc
