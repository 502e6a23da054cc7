// Inception score (Salimans et al. 2016): exp of the mean divergence of p(y|x) from p(y).
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

#include "lcsc/metric/mean_std.h"

namespace lcsc {

// logits: [n, classes], before the softmax. The rows are cut, in their order, into `splits` contiguous parts as
// numpy.array_split would if n were a multiple (part i is rows [i n / splits, (i + 1) n / splits)); mean and standard
// deviation are over the parts. float64. Throws MetricError (n < splits, not finite).
MeanStd InceptionScore(const at::Tensor& logits, std::int64_t splits = 10);

}  // namespace lcsc
