// Rows of all samples from the ranks that measured them.
#pragma once

#include <ATen/ATen.h>

#include <span>

#include "lcsc/comm/collective.h"

namespace lcsc {

// batches: this rank's rows [n_i, width], batch by batch in the order of the samples; none where it has no rows.
// parts: the rows of each rank. Returns float32 [total, width] in the order of the samples on the leader, undefined
// elsewhere. REQUIRES: some rank has rows. Collective.
at::Tensor GatherRows(std::span<const at::Tensor> batches, std::span<const Part> parts, Collective& group);

}  // namespace lcsc
