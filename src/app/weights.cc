#include "app/weights.h"

#include <filesystem>
#include <fstream>

#include "app/command.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/io/torch_archive.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

bool IsTorchName(const std::string& path) {
  const std::string extension = std::filesystem::path(path).extension();
  return extension == ".pt" || extension == ".pth" || extension == ".ckpt";
}

nlohmann::json ReadNetworkJson(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw InputError("--network: cannot read {}; check that the file exists and is readable", path);
  try {
    return nlohmann::json::parse(file);
  } catch (const nlohmann::json::exception& error) {
    throw InputError("--network: {} is no JSON: {}", path, error.what());
  }
}

}  // namespace

void WeightsOptions::AddOptions(OptionSet& set, const std::string& purpose) {
  set.Add({"", "weights", "path", purpose + ": .safetensors or a torch.save file"}, &weights);
  AddKeyOption(set, &key);
  set.Add({"", "network", "path", "network JSON; by default the one that the weights carry"}, &network);
}

std::shared_ptr<Denoiser> WeightsOptions::Load() const {
  const auto file = OpenTensorFile(weights, {.key = key});
  if (!network.empty()) return LoadDenoiser(*file, ReadNetworkJson(network));
  if (!file->metadata().contains("config")) {
    throw InputError("{}: no network JSON in it (\"config\" under \"__metadata__\"); give it with --network FILE",
                     weights);
  }
  return LoadDenoiser(*file, NetworkConfigOf(*file));
}

void CheckWeightsPath(const std::string& path) {
  if (IsTorchName(path) || std::filesystem::path(path).extension() == ".safetensors") return;
  throw ConfigError("--output: expected a name that ends in .safetensors, .pt, .pth or .ckpt, found {}", path);
}

void WriteWeights(const std::string& path, const NamedTensors& tensors,
                  const std::map<std::string, std::string>& metadata) {
  CheckWeightsPath(path);
  if (IsTorchName(path)) {
    WriteTorchArchive(path, tensors);
  } else {
    WriteSafetensors(path, tensors, metadata);
  }
}

}  // namespace lcsc
