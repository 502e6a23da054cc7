// Improved precision and recall (Kynkäänniemi et al. 2019, eq. 1): shares of one set inside the manifold of the other.
#pragma once

#include <ATen/ATen.h>

#include <memory>

namespace lcsc {

struct PrecisionRecall {
  double precision = 0;  // share of the generated features inside the reference's manifold
  double recall = 0;     // share of the reference features inside the generated manifold
  double f_score = 0;    // harmonic mean; 0 when both are 0
};

// The reference with its manifold, made once and used for every candidate. The manifold of a set: balls around its
// points, whose radius is the distance to the k-th neighbour without the point itself; a point on the surface is
// inside. Distances are Euclidean, compared as float64 sums of squared differences: matrix products decide the clear
// cases, and what is too close for their rounding is computed again difference by difference, so that ties (duplicates,
// points of a grid) are ties. Blocked: the memory needed does not grow with n m. Threads: LibTorch's.
class PrecisionRecallReference {
 public:
  // features: [m, d], m > k, of any floating-point type; k >= 1. Throws MetricError (too few rows, not finite).
  explicit PrecisionRecallReference(const at::Tensor& features, int k = 3);
  ~PrecisionRecallReference();

  // generated: [n, d], n > k, of any floating-point type. Throws MetricError (d differs, too few rows, not finite).
  PrecisionRecall Compare(const at::Tensor& generated) const;

 private:
  struct Prepared;
  std::unique_ptr<const Prepared> prepared_;
};

// Compare with a reference that is used once.
// torch-fidelity calls the set that it is given first the real one: its "precision" of (generated, reference) is this
// recall, and its "recall" this precision.
PrecisionRecall ImprovedPrecisionRecall(const at::Tensor& generated, const at::Tensor& reference, int k = 3);

}  // namespace lcsc
