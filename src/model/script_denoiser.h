// A user's own network as a TorchScript module, or a whole pipeline that turns noise into images.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lcsc/model/json_reader.h"
#include "lcsc/model/network.h"
#include "script_aliases.h"

namespace lcsc {

// forward(x, sigma[, labels][, named tensors...]) -> the denoised image, or the finished image of a pipeline, whose
// shape may differ from x's (docs/torchscript.md).
//   x float32 [n, img_channels, img_resolution, img_resolution], sigma float32 [n]; labels one-hot float32.
// The module's parameters and buffers are this module's, by their dotted names: who writes one writes the script's.
class ScriptDenoiser : public Denoiser {
 public:
  // Reads the keys of a network JSON of model_type "TorchScript"; loads the module. Throws ConfigError, InputError.
  static std::shared_ptr<ScriptDenoiser> FromJson(JsonReader& json);
  ~ScriptDenoiser() override;

  at::Tensor Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) override;
  const NoiseSchedule& schedule() const override;
  std::int64_t img_channels() const override;
  std::int64_t img_resolution() const override;
  std::int64_t label_dim() const override;

  // Whether the tensor may stay as the module's file has it when the checkpoints lack it: a buffer (TorchScript forgets
  // which of them belong to the state dict), or one below a prefix of "frozen".
  bool MayKeep(const std::string& tensor) const;

  // The memory that the module's parameters share with other tensors of it.
  const std::vector<ScriptAlias>& aliases() const;
  const std::string& file() const;
  // What forward takes behind x and sigma.
  std::vector<std::string> conditioning_names() const;

 private:
  struct Options;
  struct Script;
  explicit ScriptDenoiser(std::unique_ptr<Options> options);
  void CheckTensors() const;

  std::unique_ptr<Options> options_;
  std::unique_ptr<Script> script_;
};

}  // namespace lcsc
