// Rows of all samples from the ranks that measured them.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "lcsc/comm/collective.h"

namespace lcsc {

// batches: this rank's rows [n_i, width], batch by batch in the order of the samples; parts: the rows of each rank.
// Returns float32 [total, width] in the order of the samples on the leader, undefined elsewhere. Collective.
at::Tensor GatherRows(const std::vector<at::Tensor>& batches, const std::vector<Part>& parts, Collective& group);

}  // namespace lcsc
