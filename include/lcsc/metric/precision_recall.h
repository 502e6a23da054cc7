// Improved precision and recall (Kynkäänniemi et al. 2019, eq. 1): shares of one set inside the manifold of the other.
#pragma once

#include <ATen/ATen.h>

namespace lcsc {

struct PrecisionRecall {
  double precision = 0;  // share of the generated features inside the reference's manifold
  double recall = 0;     // share of the reference features inside the generated manifold
  double f_score = 0;    // harmonic mean; 0 when both are 0
};

// The manifold of a set: balls around its points, whose radius is the distance to the k-th neighbour without the point
// itself; a point on the surface is inside. generated: [n, d], reference: [m, d], n and m > k. Blocked: the memory
// needed does not grow with n m. Throws MetricError (d differs, too few rows, not finite).
PrecisionRecall ImprovedPrecisionRecall(const at::Tensor& generated, const at::Tensor& reference, int k = 3);

}  // namespace lcsc
