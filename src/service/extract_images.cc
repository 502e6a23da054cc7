#include "lcsc/service/extract_images.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <vector>

#include "row_gather.h"

namespace lcsc {

Extraction ExtractImages(FeatureExtractor& extractor, const at::Tensor& images, std::int64_t batch_size,
                         Collective& group) {
  const c10::InferenceMode no_gradients;
  const std::int64_t count = images.size(0);
  const std::vector<Part> parts = SplitEvenly(count, group.group_size());
  const Part own = parts[static_cast<std::size_t>(group.group_rank())];
  // Also a rank without images of its own learns here whether there are logits, and how wide the rows are.
  const Extraction one = extractor.Extract(images.slice(0, 0, 1));
  std::vector<at::Tensor> features = {one.features.slice(0, 0, 0)}, logits;
  if (one.logits.defined()) logits.push_back(one.logits.slice(0, 0, 0));
  for (std::int64_t begin = own.begin; begin < own.end; begin += batch_size) {
    const Extraction batch = extractor.Extract(images.slice(0, begin, std::min(begin + batch_size, own.end)));
    features.push_back(batch.features);
    if (batch.logits.defined()) logits.push_back(batch.logits);
  }
  Extraction all;
  all.features = GatherRows(features, parts, group);
  if (!logits.empty()) all.logits = GatherRows(logits, parts, group);
  return all;
}

}  // namespace lcsc
