// The scale s = alpha / r of a pair of LoRA factors, wherever the training code wrote alpha.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lcsc/io/tensor_file.h"
#include "lora_names.h"

namespace lcsc {

// The text of peft's adapter_config.json in the checkpoint's folder; "" when there is none. Throws InputError when it
// cannot be read.
std::string ReadAdapterConfig(const TensorFile& checkpoint);

class LoraScales {
 public:
  // alpha: of every pair, before everything but alpha tensors. Throws InputError for an unsound adapter_config.json.
  LoraScales(const TensorFile& checkpoint, const std::optional<double>& alpha);

  struct Pair {
    LoraTensorName down;
    std::string down_name;     // in the file
    std::string alpha_tensor;  // in the file; "" when it has none
    std::int64_t rank = 0;
  };
  // In this order: the file's alpha tensor, the option, adapter_config.json, diffusers' copy of it in the file's own
  // metadata; without any, 1, which is what kohya's and
  // diffusers' code mean by no alpha. Throws InputError when peft's names come without any, for peft's default is
  // not 1.
  double ScaleOf(const Pair& pair) const;

 private:
  double FromTensor(const Pair& pair) const;
  double FromConfig(const Pair& pair) const;

  const TensorFile& checkpoint_;
  std::optional<double> alpha_;
  nlohmann::ordered_json config_;  // adapter_config.json, or null
  bool is_by_component_ = false;   // its keys are "unet.r", "unet.lora_alpha", ...
  std::string config_where_;       // for messages
};

}  // namespace lcsc
