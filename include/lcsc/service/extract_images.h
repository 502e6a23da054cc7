// Features of given images, shared out among ranks.
#pragma once

#include "lcsc/comm/collective.h"
#include "lcsc/model/network.h"

namespace lcsc {

// images: uint8 [n, c, h, w], the same on every rank; each rank extracts its part, batch_size images at once. The
// leader gets all features [n, d] and logits (undefined when the extractor has none), the others nothing. Collective
// over the group. Throws InputError when the extractor does not take such images: try one image on every rank first.
Extraction ExtractImages(FeatureExtractor& extractor, const at::Tensor& images, std::int64_t batch_size,
                         Collective& group);

}  // namespace lcsc
