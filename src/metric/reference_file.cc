#include <nlohmann/json.hpp>

#include "lcsc/base/error.h"
#include "lcsc/io/npz.h"
#include "lcsc/io/tensor_table.h"
#include "lcsc/metric/frechet.h"

namespace lcsc {
namespace {

constexpr const char* kMean = "mu";
constexpr const char* kCovariance = "sigma";
constexpr const char* kProvenance = "lcsc";
constexpr const char* kFeaturesArray = "features";

// The number of images that the provenance states, 0 when it states none.
std::int64_t CountIn(const std::string& provenance_json) {
  const auto provenance = nlohmann::json::parse(provenance_json, nullptr, /*allow_exceptions=*/false);
  if (!provenance.is_object() || !provenance.contains("num_images")) return 0;
  const nlohmann::json& count = provenance["num_images"];
  return count.is_number_unsigned() ? count.get<std::int64_t>() : 0;
}

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
  const at::Tensor exact = covariance.to(at::kDouble);
  const std::string provenance = ReadNpzText(path, kProvenance);
  return {{mean.to(at::kDouble), (exact + exact.t()) / 2, CountIn(provenance)}, provenance, {}};
}

void WriteReference(const std::filesystem::path& path, const ReferenceFile& reference) {
  std::map<std::string, std::string> texts;
  if (!reference.provenance_json.empty()) texts[kProvenance] = reference.provenance_json;
  std::map<std::string, at::Tensor> arrays = {{kMean, reference.statistics.mean},
                                              {kCovariance, reference.statistics.covariance}};
  if (reference.features.defined()) arrays[kFeaturesArray] = reference.features;
  WriteNpz(path, arrays, texts);
}

}  // namespace lcsc
