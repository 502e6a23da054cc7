#include "app/report_images.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "app/drawing.h"
#include "app/report.h"
#include "lcsc/io/png.h"
#include "lcsc/merge/merged_weights.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

constexpr std::int64_t kMostShownSide = 256;

at::Tensor DrawOf(const Trajectory& trajectory, const EvaluatedCandidate& member, const EvaluationOptions& options,
                  std::int64_t num_images) {
  const std::string name = CandidateText(member.candidate);
  const auto network = MakeDenoiser(nlohmann::json::parse(trajectory.network_json));
  CheckDrawable(*network, "--images");
  LoadStateDict(*network, MergeCheckpoints(trajectory, member.candidate.coefficients), name);
  network->eval();
  return DrawImages(*network, options, {name, num_images});
}

at::Tensor FeaturesOf(FeatureExtractor& extractor, const at::Tensor& images, std::int64_t batch_size) {
  const c10::InferenceMode no_gradients;
  std::vector<at::Tensor> batches;
  for (std::int64_t begin = 0; begin < images.size(0); begin += batch_size) {
    batches.push_back(extractor.Features(images.slice(0, begin, std::min(begin + batch_size, images.size(0)))));
  }
  return at::cat(batches);
}

// float64 [n], and into `name` what they are.
at::Tensor DistancesOf(const at::Tensor& left, const at::Tensor& right, const EvaluationOptions& options,
                       std::string* name) {
  const auto norms = [](const at::Tensor& a, const at::Tensor& b) {
    return (a.to(at::kDouble) - b.to(at::kDouble)).flatten(1).norm(2, {1});
  };
  if (options.extractor.empty()) {
    *name = "Euclidean distance of the pixels, 0 to 255";
    return norms(left, right);
  }
  const auto extractor = LoadFeatureExtractor(options.extractor, options.extraction);
  *name = fmt::format("Euclidean distance of the {} features that the {} extractor computes of the two images",
                      extractor->feature_dim(), extractor->protocol());
  return norms(FeaturesOf(*extractor, left, options.batch_size), FeaturesOf(*extractor, right, options.batch_size));
}

// Averages squares of divisor x divisor pixels.
at::Tensor Shrunk(const at::Tensor& images, std::int64_t divisor) {
  if (divisor == 1) return images;
  return at::avg_pool2d(images.to(at::kFloat), {divisor, divisor}).round().to(at::kByte);
}

}  // namespace

ImagePairs DrawPairs(const Trajectory& trajectory, const PairedCandidates& candidates, const EvaluationOptions& options,
                     std::int64_t num_pairs) {
  VerifyTrajectory(trajectory.folder);  // the merge reads parts of rows, which have no digest
  const at::Tensor ema = DrawOf(trajectory, candidates.ema, options, num_pairs);
  const at::Tensor best = DrawOf(trajectory, candidates.best, options, num_pairs);
  ImagePairs all;
  all.width = ema.size(3);
  all.height = ema.size(2);
  const at::Tensor distances = DistancesOf(ema, best, options, &all.distance);
  all.shown_divisor = (std::max(all.width, all.height) + kMostShownSide - 1) / kMostShownSide;
  const at::Tensor shown_ema = Shrunk(ema, all.shown_divisor), shown_best = Shrunk(best, all.shown_divisor);
  for (std::int64_t i = 0; i < num_pairs; ++i) {
    all.pairs.push_back({i, distances[i].item<double>(), EncodePng(shown_ema[i]), EncodePng(shown_best[i])});
  }
  std::ranges::stable_sort(all.pairs, std::ranges::greater{}, &ImagePair::distance);
  return all;
}

}  // namespace lcsc
