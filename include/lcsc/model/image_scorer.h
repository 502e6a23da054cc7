// A user's own judge of single images (PickScore, ImageReward and the like), as a TorchScript module.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "lcsc/model/network.h"

namespace lcsc {

// forward(images[, labels][, named tensors...]) -> scores [n] or [n, 1]; higher is better (docs/torchscript.md).
class ImageScorer {
 public:
  // Throws InputError when the file is no TorchScript archive or its forward takes no images.
  explicit ImageScorer(const std::filesystem::path& file);
  ~ImageScorer();

  // images: uint8 [n, c, h, w]. Returns float32 [n]. Throws InputError: an argument that the conditioning lacks, an
  // error within the module, another number of scores than images.
  at::Tensor Scores(const at::Tensor& images, const Conditioning& conditioning);

  // The named tensors that it takes; "labels" is among them when it takes labels.
  std::vector<std::string> conditioning_names() const;

 private:
  struct Script;
  std::string file_;
  std::unique_ptr<Script> script_;
};

}  // namespace lcsc
