// Fréchet distance between Gaussians (Heusel et al. 2017, eq. 6).
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <string>

#include "lcsc/metric/feature_statistics.h"

namespace lcsc {

// A Gaussian fitted to features.
struct GaussianStatistics {
  at::Tensor mean;        // float64 [d]
  at::Tensor covariance;  // float64 [d, d]
};
GaussianStatistics GaussianOf(const FeatureStatistics& statistics);

// The reference with its matrix square root, made once and used for every candidate.
class FrechetReference {
 public:
  // Throws MetricError when a value is not finite or the shapes disagree.
  explicit FrechetReference(const GaussianStatistics& reference);
  // |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2), by a symmetric eigenproblem; correct for rank-deficient
  // covariances (n < d). Returns a value >= 0. Throws MetricError if d differs or a statistic is not finite.
  // Threads: any. Device: CPU.
  double Distance(const GaussianStatistics& generated) const;
  std::int64_t dim() const { return mean_.size(0); }

 private:
  at::Tensor mean_, covariance_, sqrt_covariance_;
};

double FrechetDistance(const GaussianStatistics& a, const GaussianStatistics& b);

// Reference files: .npz with mu [d] and sigma [d, d] (pytorch-fid, EDM). Ours add the text "lcsc": a JSON object with
// the extractor's digest and protocol, the number of images, and the images' digest.
struct ReferenceFile {
  GaussianStatistics statistics;
  std::string provenance_json;  // "" in files of others
};
// Throws InputError that names the file, the array, expected and found.
ReferenceFile ReadReference(const std::filesystem::path& path);
void WriteReference(const std::filesystem::path& path, const ReferenceFile& reference);

}  // namespace lcsc
