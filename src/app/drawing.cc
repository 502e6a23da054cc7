#include "app/drawing.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/base/progress.h"
#include "lcsc/service/image_source.h"

namespace lcsc {

at::Tensor DrawImages(Denoiser& network, const EvaluationOptions& evaluation, const DrawingOptions& options) {
  const c10::InferenceMode no_gradients;
  const ImageSource source(evaluation);
  source.CheckConditioning(network, /*scorer=*/nullptr);
  source.Probe(network);
  Progress progress({.title = "sample", .unit = "images", .total = options.num_images});
  std::vector<at::Tensor> batches;
  for (std::int64_t begin = 0; begin < options.num_images; begin += evaluation.batch_size) {
    const SampleRange range{begin, std::min(begin + evaluation.batch_size, options.num_images)};
    batches.push_back(source.Draw(network, range));
    if (!batches.back().defined()) {
      throw InputError("{}: non-finite images among samples {} to {}", options.weights, range.begin, range.end - 1);
    }
    progress.Update(range.end);
  }
  return at::cat(batches);
}

}  // namespace lcsc
