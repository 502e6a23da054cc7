#include "lcsc/base/error.h"
#include "lcsc/io/npz.h"
#include "lcsc/io/tensor_table.h"
#include "lcsc/metric/frechet.h"

namespace lcsc {
namespace {

constexpr const char* kMean = "mu";
constexpr const char* kCovariance = "sigma";
constexpr const char* kProvenance = "lcsc";

}  // namespace

ReferenceFile ReadReference(const std::filesystem::path& path) {
  const auto arrays = ReadNpz(path, {kMean, kCovariance});
  const at::Tensor& mean = arrays.at(kMean);
  const at::Tensor& covariance = arrays.at(kCovariance);
  if (mean.dim() != 1 || mean.size(0) == 0 || !mean.is_floating_point()) {
    throw InputError("{}: the array {} is {}; expected floating-point numbers of shape [d]", path.string(), kMean,
                     ShapeText(mean.sizes().vec()));
  }
  const std::vector<std::int64_t> expected = {mean.size(0), mean.size(0)};
  if (covariance.sizes() != at::IntArrayRef(expected) || !covariance.is_floating_point()) {
    throw InputError("{}: the array {} is {}; expected floating-point numbers of shape {}, as {} has", path.string(),
                     kCovariance, ShapeText(covariance.sizes().vec()), ShapeText(expected), kMean);
  }
  for (const auto& [name, array] : arrays) {
    if (!at::isfinite(array).all().item<bool>()) {
      throw InputError("{}: the array {} has numbers that are not finite; make the reference again", path.string(),
                       name);
    }
  }
  return {{mean.to(at::kDouble), covariance.to(at::kDouble)}, ReadNpzText(path, kProvenance)};
}

void WriteReference(const std::filesystem::path& path, const ReferenceFile& reference) {
  std::map<std::string, std::string> texts;
  if (!reference.provenance_json.empty()) texts[kProvenance] = reference.provenance_json;
  WriteNpz(path, {{kMean, reference.statistics.mean}, {kCovariance, reference.statistics.covariance}}, texts);
}

}  // namespace lcsc
