// Files that metrics are computed from: features and logits (what `lcsc features` writes, or anybody's tensors), or
// statistics of features.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "lcsc/io/tensor_file.h"

namespace lcsc {

class FeatureFile {
 public:
  // A name that ends in .npz is a NumPy archive, anything else is opened by its content. Throws InputError.
  explicit FeatureFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  bool Contains(const std::string& key) const;
  // Whether it is an .npz with mu and sigma, which ReadReference reads.
  bool HasStatistics() const;
  // Which array holds the features: "features", else the only floating-point array of two dimensions; "" when the file
  // has statistics instead. Throws InputError that lists the arrays when there is no or more than one such array, and
  // that tells what to do when the file holds images.
  std::string DefaultKey() const;
  // Throws InputError that lists the arrays, or MetricError that names file, array and element unless it is a finite
  // floating-point array of shape [n, d].
  at::Tensor Read(const std::string& key) const;
  // "protocol" or "extractor_digest": what the file says of its making, in the metadata of a .safetensors file or in
  // the text "lcsc" of an .npz; "" when it says nothing.
  std::string Fact(const std::string& name) const;

 private:
  std::filesystem::path path_;
  std::unique_ptr<TensorFile> tensors_;  // null for .npz
  std::vector<std::string> npz_names_;
  std::string npz_provenance_;
};

}  // namespace lcsc
