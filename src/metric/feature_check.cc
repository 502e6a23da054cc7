#include "lcsc/metric/feature_check.h"

#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

// Rows looked at together, so that the mask stays small.
constexpr std::int64_t kCheckedRows = 4096;

void CheckFinite(const at::Tensor& features, const std::string& what) {
  for (std::int64_t begin = 0; begin < features.size(0); begin += kCheckedRows) {
    const at::Tensor rows = features.slice(0, begin, std::min(begin + kCheckedRows, features.size(0)));
    const at::Tensor finite = at::isfinite(rows);
    if (finite.all().item<bool>()) continue;
    const std::int64_t first = finite.logical_not().flatten().to(at::kByte).argmax().item<std::int64_t>();
    const std::int64_t row = first / features.size(1), column = first % features.size(1);
    throw MetricError("{}: expected finite numbers, found {} at row {}, column {}", what,
                      rows[row][column].item<double>(), begin + row, column);
  }
}

}  // namespace

void CheckFeatures(const at::Tensor& features, const FeatureDemand& demand) {
  if (features.dim() != 2 || features.size(1) < 1 || !features.is_floating_point()) {
    throw MetricError("{}: expected floating-point numbers of shape [n, d], found {} of shape [{}]", demand.what,
                      c10::toString(features.scalar_type()), fmt::join(features.sizes().vec(), ", "));
  }
  if (features.size(0) < demand.min_rows) {
    throw MetricError("{}: expected at least {} rows, found {}", demand.what, demand.min_rows, features.size(0));
  }
  CheckFinite(features, demand.what);
}

void CheckGenerated(const at::Tensor& generated, const GeneratedDemand& demand) {
  CheckFeatures(generated, {"generated features", demand.min_rows});
  if (generated.size(1) != demand.reference_dim) {
    throw MetricError(
        "the generated images have {} features, the reference has {}; use the extractor that the reference was made "
        "with",
        generated.size(1), demand.reference_dim);
  }
}

}  // namespace lcsc
