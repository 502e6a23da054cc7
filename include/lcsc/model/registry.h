// One registry: network JSON (the reference code's own constructor arguments) -> module.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "lcsc/config/extractor_options.h"
#include "lcsc/io/tensor_file.h"
#include "lcsc/model/network.h"

namespace lcsc {

// json: {"model_type": "SongUNet", "precond": "EDMPrecond", "img_resolution": 8, ...}: the argument names and defaults
// of the code base in question, see docs/networks.md. Unknown keys and unknown types are refused by name (ConfigError),
// with the nearest known one.
// The weights are initialised as the reference does, from torch's generator.
std::shared_ptr<Denoiser> MakeDenoiser(const nlohmann::json& json);
std::shared_ptr<FeatureExtractor> MakeFeatureExtractor(const nlohmann::json& json);

// The TorchScript file that a network JSON names, on whose content the network depends beside its weights; nullopt for
// networks that are built in.
std::optional<std::filesystem::path> ScriptFileOf(const nlohmann::json& network);

// Parameters and buffers by name, sharing memory with the module.
NamedTensors StateDict(torch::nn::Module& module);

// Copies tensors into the module. Strict: throws InputError that names `source` and the first missing, superfluous or
// differently shaped tensor (and how many more there are). float16/bfloat16/float64 are converted to float32. A
// TorchScript network may lack its buffers, and what its JSON calls frozen: they stay as the module's file has them. Of
// tensors that are one in a TorchScript network, one must be given; several must agree.
void LoadStateDict(torch::nn::Module& module, const NamedTensors& tensors, const std::string& source);

// Points the parameters that `table` names at views of `flat` (float32 [table.num_elements()], the module's device), so
// that whoever writes to `flat` writes the network. Strict like LoadStateDict; tensors that are not in the table must
// be in `carried`, which are copied. What a TorchScript network has in the memory of such a parameter beside it follows
// the parameter; throws InputError when it is a view of a part, which cannot.
void BindFlatWeights(torch::nn::Module& module, const TensorTable& table, const at::Tensor& flat,
                     const NamedTensors& carried, const std::string& source);

// What of a Conditioning the network takes: the names of its tensors, "labels" for its labels.
std::vector<std::string> ConditioningNames(const Denoiser& network);

// Two names that a TorchScript network has for one tensor.
struct TiedTensors {
  std::string one, other;
};
std::vector<TiedTensors> TiedTensorsOf(const torch::nn::Module& module);
// Throws the InputError for `source`, which has different values under the two names.
[[noreturn]] void RefuseTied(const TiedTensors& tied, const std::string& source);

// Reads weights and network JSON (`__metadata__.config`) from one file; in eval mode.
std::shared_ptr<Denoiser> LoadDenoiser(const std::filesystem::path& weights);
// The same for files without network JSON, or with another.
std::shared_ptr<Denoiser> LoadDenoiser(const TensorFile& weights, const nlohmann::json& json);

// An extractor of the kind that the options name; "auto": a TorchScript archive, else a file with the Inception's
// tensor names, else one whose network JSON says what it is. Throws InputError, ConfigError.
std::shared_ptr<FeatureExtractor> LoadFeatureExtractor(const std::filesystem::path& weights,
                                                       const ExtractorOptions& options = {});
// The protocol() that this extractor would have, without reading its weights.
std::string ExtractorProtocol(const std::filesystem::path& weights, const ExtractorOptions& options = {});

// The network JSON of a weights file. Throws InputError when it has none or it is no JSON.
nlohmann::json NetworkConfigOf(const TensorFile& file);

}  // namespace lcsc
