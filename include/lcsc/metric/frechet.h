// Fréchet distance between Gaussians (Heusel et al. 2017, eq. 6).
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "lcsc/metric/feature_gradient.h"
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
  // Returns a value >= 0. Throws MetricError if d differs or a statistic is not finite. Threads: any. Device: CPU, or
  // the eigenvalues on the GPU of ChooseDevice; the CPU takes over when the GPU fails.
  double Distance(const GaussianStatistics& generated) const;
  // Its derivatives: 2 (m - m_r) and I - F^T (F C F^T)^-1/2 F. The inverse root is taken where eigenvalues are more
  // than rounding and within the rank that the counts allow: exact for changes that keep the rank, as changes of n < d
  // samples do. Eigenvalues that meet do no harm. Throws as Distance does. Threads: any. Device: CPU.
  GaussianGradient Gradient(const GaussianStatistics& generated) const;
  // Measures a distance's eigenvalues once on the CPU and once on the GPU, after a first time there, and from now on
  // computes them where it was faster. The two differ by rounding, about 1e-14 of the largest. Returns the line to
  // print: both times and the choice, or why there is none. gpu: CUDA's number. Not together with Distance.
  std::string ChooseDevice(int gpu);
  std::int64_t dim() const { return mean_.size(0); }

 private:
  // Of F C F^T, ascending, on the CPU.
  at::Tensor EigenvaluesOnCpu(const at::Tensor& covariance) const;
  at::Tensor Eigenvalues(const at::Tensor& covariance) const;
  // Throws MetricError when the statistics cannot be compared with the reference's.
  void CheckComparable(const GaussianStatistics& generated) const;
  // The trace of (C1 C2)^1/2.
  double TraceOfRoot(const GaussianStatistics& generated) const;

  at::Tensor mean_;
  at::Tensor factor_;      // F: [rank, d]
  at::Tensor gpu_factor_;  // the same on the GPU; undefined when the CPU computes
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
