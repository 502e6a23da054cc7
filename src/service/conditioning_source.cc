#include "lcsc/service/conditioning_source.h"

#include <algorithm>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr const char* kLabels = "labels";
constexpr const char* kClassLabels = "class_labels";

void CheckTensor(const std::string& file, const std::string& name, const at::Tensor& tensor) {
  if (tensor.dim() == 0 || tensor.size(0) == 0) {
    throw InputError("{}: tensor {} is {}; expected one row per sample, [m, ...] with m >= 1", file, name,
                     ShapeText(tensor.sizes().vec()));
  }
  if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>()) {
    throw InputError("{}: tensor {} has values that are not finite; make the file again", file, name);
  }
}

}  // namespace

ConditioningSource::ConditioningSource(const std::filesystem::path& file) : file_(file.string()) {
  if (file.empty()) return;
  tensors_ = OpenTensorFile(file)->ReadAll();
  if (tensors_.empty()) throw InputError("{}: expected tensors [m, ...], one row per sample, found none", file_);
  for (const auto& [name, tensor] : tensors_) {
    CheckTensor(file_, name, tensor);
    if (num_rows_ == 0) num_rows_ = tensor.size(0);
    if (tensor.size(0) != num_rows_) {
      throw InputError("{}: expected {} rows in every tensor, as {} has, found {} in {}", file_, num_rows_,
                       tensors_.begin()->first, tensor.size(0), name);
    }
  }
  for (const char* name : {kLabels, kClassLabels}) {
    const auto labels = tensors_.extract(name);
    if (!labels) continue;
    if (labels_.defined()) throw InputError("{}: found both {} and {}; keep one of them", file_, kLabels, kClassLabels);
    labels_ = labels.mapped();
  }
}

bool ConditioningSource::HasOneHotLabels() const {
  return labels_.defined() && labels_.dim() == 2 && labels_.is_floating_point();
}

at::Tensor ConditioningSource::Labels(const at::Tensor& rows, std::int64_t label_dim) const {
  if (HasOneHotLabels() && labels_.size(1) == label_dim) return labels_.index_select(0, rows).to(at::kFloat);
  const bool is_class = labels_.dim() == 1 && !labels_.is_floating_point() && labels_.scalar_type() != at::kBool;
  if (!is_class) {
    throw InputError("{}: tensor {} is {} {}; expected integers [m] below {}, or one-hot floating-point [m, {}]", file_,
                     kLabels, DataTypeName(DataTypeOf(labels_)), ShapeText(labels_.sizes().vec()), label_dim,
                     label_dim);
  }
  const auto least = labels_.min().item<std::int64_t>(), most = labels_.max().item<std::int64_t>();
  if (least < 0 || most >= label_dim) {
    throw InputError("{}: tensor {}: expected classes in [0, {}), the network's, found {} to {}", file_, kLabels,
                     label_dim, least, most);
  }
  return at::one_hot(labels_.index_select(0, rows).to(at::kLong), label_dim).to(at::kFloat);
}

at::Tensor ConditioningSource::RowsOf(SampleRange range) const {
  return at::arange(range.begin, range.end, at::kLong).remainder(num_rows_);
}

Conditioning ConditioningSource::TensorsOf(SampleRange range) const {
  Conditioning conditioning;
  for (const auto& [name, tensor] : tensors_) {
    const at::Tensor selected = tensor.index_select(0, RowsOf(range));
    conditioning.tensors[name] = tensor.is_floating_point() ? selected.to(at::kFloat) : selected;
  }
  return conditioning;
}

Conditioning ConditioningSource::Of(SampleRange range, std::int64_t label_dim) const {
  Conditioning conditioning = TensorsOf(range);
  if (!labels_.defined()) {
    conditioning.labels = SampleLabels(range, label_dim);
  } else if (label_dim > 0) {
    conditioning.labels = Labels(RowsOf(range), label_dim);
  }
  return conditioning;
}

Conditioning ConditioningSource::WithoutClasses(SampleRange range) const {
  Conditioning conditioning = TensorsOf(range);
  if (HasOneHotLabels()) conditioning.labels = labels_.index_select(0, RowsOf(range)).to(at::kFloat);
  return conditioning;
}

void ConditioningSource::CheckTaken(const std::vector<std::string>& names, const std::string& takers) const {
  std::vector<std::string> given;
  for (const auto& [name, tensor] : tensors_) given.push_back(name);
  if (labels_.defined()) given.push_back(kLabels);
  for (const std::string& name : given) {
    if (std::ranges::count(names, name) > 0) continue;
    throw InputError(
        "{}: nothing takes its tensor {}: {}; give it the name of the argument that it is for, or take it "
        "out of the file or evaluation.conditioning out of the options",
        file_, name, takers);
  }
}

}  // namespace lcsc
