// Fréchet distance between Gaussians (Heusel et al. 2017, eq. 6).
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "lcsc/metric/feature_statistics.h"

namespace lcsc {

// A Gaussian fitted to features.
struct GaussianStatistics {
  at::Tensor mean;         // float64 [d]
  at::Tensor covariance;   // float64 [d, d], symmetric
  std::int64_t count = 0;  // samples that it was fitted to, 0 when unknown: the covariance's rank is at most count - 1
};
GaussianStatistics GaussianOf(const FeatureStatistics& statistics);

// The reference with a factor of its covariance, made once and used for every candidate.
class FrechetReference {
 public:
  // Throws MetricError when a value is not finite or the shapes disagree.
  explicit FrechetReference(const GaussianStatistics& reference);
  // |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2). With C1 = F^T F, C1 C2 has the eigenvalues of the symmetric F C2 F^T, so
  // that no root of a matrix is needed; F is the Cholesky factor, or for a rank-deficient reference comes from its
  // eigenvectors. Eigenvalues beyond the rank that the counts allow are rounding, and are left out: correct for n < d.
  // Returns a value >= 0. Throws MetricError if d differs or a statistic is not finite. Threads: any. Device: CPU.
  double Distance(const GaussianStatistics& generated) const;
  std::int64_t dim() const { return mean_.size(0); }

 private:
  // The trace of (C1 C2)^1/2.
  double TraceOfRoot(const GaussianStatistics& generated) const;

  at::Tensor mean_;
  at::Tensor factor_;  // F: [rank, d]
  double trace_ = 0;
  std::int64_t count_ = 0;
  bool triangular_ = false;  // F is upper triangular [d, d]
};

double FrechetDistance(const GaussianStatistics& a, const GaussianStatistics& b);

// Reference files: .npz with mu [d] and sigma [d, d] (pytorch-fid, EDM). Ours add the text "lcsc": a JSON object with
// the extractor's digest, protocol and number of features, the number of images, and the images' digest; and, on wish,
// the features themselves.
struct ReferenceFile {
  GaussianStatistics statistics;
  std::string provenance_json;  // "" in files of others
  at::Tensor features{};        // float32 [n, d], written when defined; not read
};
// Throws InputError that names the file, the array, expected and found.
ReferenceFile ReadReference(const std::filesystem::path& path);
void WriteReference(const std::filesystem::path& path, const ReferenceFile& reference);

}  // namespace lcsc
