#include "lcsc/service/extract_images.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>

namespace lcsc {
namespace {

// Every rank has filled its own rows of `whole`.
void GatherRows(const at::Tensor& whole, const std::vector<Part>& rows, Collective& group) {
  std::vector<Part> parts;
  for (const Part& part : rows) parts.push_back({part.begin * whole.size(1), part.end * whole.size(1)});
  group.AllGather({whole.data_ptr<float>(), static_cast<std::size_t>(whole.numel())}, parts);
}

}  // namespace

Extraction ExtractImages(FeatureExtractor& extractor, const at::Tensor& images, std::int64_t batch_size,
                         Collective& group) {
  const c10::InferenceMode no_gradients;
  const std::int64_t count = images.size(0);
  const std::vector<Part> parts = SplitEvenly(count, group.group_size());
  const Part own = parts[static_cast<std::size_t>(group.group_rank())];
  // Also a rank without images of its own learns here whether there are logits.
  const Extraction one = extractor.Extract(images.slice(0, 0, 1));
  Extraction all;
  all.features = at::empty({count, one.features.size(1)}, at::kFloat);
  if (one.logits.defined()) all.logits = at::empty({count, one.logits.size(1)}, at::kFloat);
  for (std::int64_t begin = own.begin; begin < own.end; begin += batch_size) {
    const std::int64_t end = std::min(begin + batch_size, own.end);
    const Extraction batch = extractor.Extract(images.slice(0, begin, end));
    all.features.slice(0, begin, end).copy_(batch.features);
    if (all.logits.defined()) all.logits.slice(0, begin, end).copy_(batch.logits);
  }
  GatherRows(all.features, parts, group);
  if (all.logits.defined()) GatherRows(all.logits, parts, group);
  return all;
}

}  // namespace lcsc
