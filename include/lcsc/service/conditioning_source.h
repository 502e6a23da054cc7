// What each sample is conditioned on: rows of a file of per-sample tensors, and class labels.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lcsc/io/tensor_file.h"
#include "lcsc/model/network.h"
#include "lcsc/sample/noise.h"

namespace lcsc {

// Sample j has row j mod m of a file of tensors [m, ...]; so conditioning belongs to the sample, never to the rank. The
// tensor `labels`, int64 [m] or one-hot [m, label_dim], takes the place of the default labels j mod label_dim; all
// others are named inputs of the network. Floating-point tensors are given as float32.
class ConditioningSource {
 public:
  // Default labels, no tensors.
  ConditioningSource() = default;
  // Reads the whole file (.safetensors and what else OpenTensorFile knows); an empty path is none. Throws InputError:
  // no tensors, one without rows, another number of rows than the first has, values that are not finite.
  explicit ConditioningSource(const std::filesystem::path& file);

  // Of the samples `range`, for a network with so many classes, 0: no labels. Throws InputError when the file's labels
  // are not among them.
  Conditioning Of(SampleRange range, std::int64_t label_dim) const;
  // The same where no network says how many classes there are: labels only where the file has them one-hot.
  Conditioning WithoutClasses(SampleRange range) const;
  // Throws InputError that names a tensor of the file which is none of the names ("labels" for either name of them).
  // takers: who takes them, for the message: "the network takes text".
  void CheckTaken(const std::vector<std::string>& names, const std::string& takers) const;

 private:
  at::Tensor RowsOf(SampleRange range) const;
  Conditioning TensorsOf(SampleRange range) const;
  bool HasOneHotLabels() const;
  at::Tensor Labels(const at::Tensor& rows, std::int64_t label_dim) const;

  std::string file_;
  std::int64_t num_rows_ = 0;
  at::Tensor labels_;
  NamedTensors tensors_;
};

}  // namespace lcsc
