// What a trajectory of LoRA checkpoints knows beside its factors: the base model, and which factors change which of its
// tensors (Hu et al. 2021): W = W_0 + s B A. Format: docs/trajectory.md; use: docs/lora.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lcsc/io/tensor_file.h"
#include "lcsc/io/tensor_table.h"

namespace lcsc {

// One pair of factors. Linear: A [r, in], B [out, r]; convolution: A [r, in, k, k], B [out, r, 1, 1].
struct LoraLayer {
  TensorEntry target;  // the base model's tensor, "enc.conv.weight" [out, in, ...]; offset 0
  std::string down;    // A: its name in the checkpoints
  std::string up;      // B
  std::string alpha;   // the scalar tensor that the scale came from; "" when it came from elsewhere
  std::int64_t rank = 0;
  double scale = 1;  // s = alpha / r

  std::int64_t num_rows() const { return target.shape.front(); }                        // out
  std::int64_t num_columns() const { return target.num_elements() / target.shape[0]; }  // in k k
  bool operator==(const LoraLayer&) const = default;
};

struct LoraDescription {
  std::filesystem::path base_model;  // absolute: where it was when the checkpoints were packed
  std::string base_digest;
  std::string base_key;           // the dict of tensors in a nested torch.save file; "" when it has none
  std::string adapter_config;     // the text of peft's adapter_config.json; "" when there was none
  std::vector<LoraLayer> layers;  // by target in ascending order
};

// The targets as the flat vector that is merged.
TensorTable TargetTable(const LoraDescription& lora);

// {"base_digest", "base_key" where there is one, "layers": [{"target", "type", "shape", "rank", "scale", "down",
// "up"}]}: what influences scores.
nlohmann::json LoraContent(const LoraDescription& lora);

// The adapter_config.json that says scale 1 for factors of these ranks, one per layer: peft takes alpha and rank from
// there. "" for checkpoints of other names, which need none.
std::string AdapterConfigOf(const LoraDescription& lora, const std::vector<std::int64_t>& ranks);

// Opens the base model: where it was, or else under the same name beside the trajectory's folder. Throws InputError
// when it is in neither place or its digest is another: the factors belong to one base model.
std::unique_ptr<TensorFile> OpenBaseModel(const LoraDescription& lora, const std::filesystem::path& trajectory_folder);

}  // namespace lcsc
