#include "app/image_scores.h"

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/model/json_reader.h"

namespace lcsc {
namespace {

constexpr const char* kScores = "scores";
constexpr const char* kFactsKey = "lcsc";

nlohmann::json DigestOrNull(const std::string& file) {
  return file.empty() ? nlohmann::json() : nlohmann::json(DigestOfFile(file));
}

}  // namespace

nlohmann::json ScoreFacts(const EvaluationOptions& options, bool are_samples) {
  return {{"seed", are_samples ? nlohmann::json(options.seed) : nlohmann::json()},
          {"num_samples", options.num_samples},
          {"scorer_digest", DigestOrNull(options.scorer)},
          {"conditioning_digest", DigestOrNull(options.conditioning)}};
}

void WriteImageScores(const std::filesystem::path& path, const at::Tensor& scores, const nlohmann::json& facts) {
  WriteSafetensors(path, {{kScores, scores}}, {{kFactsKey, facts.dump()}});
}

at::Tensor ReadImageScores(const std::filesystem::path& path, const nlohmann::json& facts) {
  const SafetensorsFile file(path);
  const auto text = file.metadata().find(kFactsKey);
  const auto found = text == file.metadata().end()
                         ? nlohmann::json()
                         : nlohmann::json::parse(text->second, nullptr, /*allow_exceptions=*/false);
  if (!found.is_object() || !file.Contains(kScores)) {
    throw InputError("--baseline-scores {}: expected what `lcsc evaluate --scores-output` writes, found other tensors",
                     path.string());
  }
  for (const auto& [name, expected] : facts.items()) {
    const nlohmann::json value = found.value(name, nlohmann::json());
    if (value == expected) continue;
    throw InputError(
        "--baseline-scores {}: expected {} {}, as of the scores to compare, found {}; a win rate needs the same "
        "samples under the same scorer",
        path.string(), name, Brief(expected), Brief(value));
  }
  at::Tensor scores = file.Read(kScores);
  const std::int64_t n = facts.at("num_samples").get<std::int64_t>();
  if (scores.scalar_type() != at::kFloat || scores.dim() != 1 || scores.size(0) != n) {
    throw InputError("--baseline-scores {}: tensor {}: expected F32 [{}], found {}", path.string(), kScores, n,
                     ShapeText(scores.sizes().vec()));
  }
  return scores;
}

double WinRate(const at::Tensor& scores, const at::Tensor& baseline) {
  const auto share = [](const at::Tensor& flags) { return flags.to(at::kDouble).mean().item<double>(); };
  return share(scores.gt(baseline)) + 0.5 * share(scores.eq(baseline));
}

}  // namespace lcsc
