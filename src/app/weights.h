// The weights of one network, from any file that holds some.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "lcsc/config/option_set.h"
#include "lcsc/io/tensor_file.h"
#include "lcsc/model/network.h"

namespace lcsc {

struct WeightsOptions {
  std::string weights;  // .safetensors or what torch.save wrote
  std::string key;      // the dict of tensors in a nested torch.save file
  std::string network;  // file with the network JSON; "": the one that the weights carry

  // Declares --weights, --key and --network. purpose: what the weights are for.
  void AddOptions(OptionSet& set, const std::string& purpose);
  // The network in eval mode. Throws InputError.
  std::shared_ptr<Denoiser> Load() const;
};

// Writes weights in the format that the path's ending names: .safetensors with the metadata, or .pt, .pth and .ckpt as
// torch.save writes an OrderedDict, which has no place for them. Throws ConfigError for other endings.
void WriteWeights(const std::string& path, const NamedTensors& tensors,
                  const std::map<std::string, std::string>& metadata);
// Throws that ConfigError before there is anything to write.
void CheckWeightsPath(const std::string& path);

}  // namespace lcsc
