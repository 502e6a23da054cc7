#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "app/command.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/table.h"
#include "lcsc/comm/group.h"
#include "lcsc/config/nearest.h"
#include "lcsc/metric/feature_file.h"
#include "lcsc/metric/frechet.h"
#include "lcsc/metric/inception_score.h"
#include "lcsc/metric/kid.h"
#include "lcsc/metric/precision_recall.h"
#include "lcsc/model/threads.h"

namespace lcsc {
namespace {

const std::vector<std::string> kMetrics = {"fid", "kid", "is", "prc"};
// What must agree for two sides to be comparable, where both files state it.
constexpr std::array<const char*, 2> kSharedFacts = {"protocol", "extractor_digest"};
constexpr const char* kPaper = "paper";
constexpr const char* kTorchFidelity = "torch-fidelity";

// One side of a comparison: features, or only their statistics.
class Side {
 public:
  // `option` names the side in messages: "--generated".
  Side(std::string option, const std::string& path, const std::string& key)
      : option_(std::move(option)), file_(path), key_(key.empty() ? file_.DefaultKey() : key) {
    if (key_.empty()) {
      statistics_ = ReadReference(file_.path()).statistics;
    } else {
      features_ = file_.Read(key_);
    }
  }

  const std::string& option() const { return option_; }
  const FeatureFile& file() const { return file_; }
  bool HasFeatures() const { return features_.defined(); }
  std::int64_t dim() const { return HasFeatures() ? features_.size(1) : statistics_->mean.size(0); }
  std::string Text() const {
    return fmt::format("{} {}{}", option_, file_.path().string(), HasFeatures() ? " (array '" + key_ + "')" : "");
  }

  // The features, for a metric that needs them and at least so many rows. Throws InputError.
  const at::Tensor& Features(const std::string& metric, std::int64_t min_rows) const {
    if (!HasFeatures()) {
      throw InputError(
          "{}: expected features, which {} is computed from, found statistics (mu, sigma) that serve fid "
          "alone; give the features' file",
          Text(), metric);
    }
    if (features_.size(0) < min_rows) {
      throw InputError("{}: expected at least {} rows for {}, found {}", Text(), min_rows, metric, features_.size(0));
    }
    return features_;
  }

  GaussianStatistics Gaussian() const {
    if (statistics_) return *statistics_;
    FeatureStatistics statistics(dim());
    statistics.Add(Features("fid", 2));
    return GaussianOf(statistics);
  }

  // Adds "SIDE", "SIDE_key", "SIDE_digest", "num_SIDE".
  void Describe(const std::string& side, nlohmann::ordered_json& json) const {
    json[side] = file_.path().string();
    json[side + "_key"] = HasFeatures() ? nlohmann::json(key_) : nlohmann::json();
    json[side + "_digest"] = DigestOfFile(file_.path());
    const auto stated = nlohmann::json::parse(file_.Fact("num_images"), nullptr, /*allow_exceptions=*/false);
    json["num_" + side] = HasFeatures()                ? nlohmann::json(features_.size(0))
                          : stated.is_number_integer() ? stated
                                                       : nlohmann::json();
  }

 private:
  std::string option_;
  FeatureFile file_;
  std::string key_;
  at::Tensor features_;  // undefined when there are statistics
  std::optional<GaussianStatistics> statistics_;
};

class MetricsCommand : public Command {
 public:
  std::string name() const override { return "metrics"; }
  std::string summary() const override {
    return "compares features of generated images with those of real ones: FID, KID, inception score, precision, "
           "recall";
  }

  void AddOptions(OptionSet& set) override {
    set.Add({"", "generated", "path",
             "features of the generated images: what `lcsc features` writes, any .safetensors "
             "or .npz with a float array [n, d]; for fid also an .npz with mu, sigma"},
            &generated_);
    set.Add({"", "key", "name", "the array of --generated; none: 'features', else the only one of two dimensions"},
            &key_);
    set.Add({"", "reference", "path", "the same of the real images; not needed for the inception score alone"},
            &reference_);
    set.Add({"", "reference_key", "name", "the array of --reference; none: as for --key"}, &reference_key_);
    set.Add({"", "logits_key", "name",
             "the array of --generated with the logits for `is`; none: 'logits_unbiased', "
             "else 'logits', else the one of --key when `is` is the only metric"},
            &logits_key_);
    set.Add({"", "metrics", "names", "any of fid, kid, is (inception score), prc (precision and recall)"}, &metrics_);
    set.Add({"", "kid_subsets", "subsets", "also mean and deviation of KID over so many random subsets; 0: none"},
            &kid_subsets_, {0, 1000000});
    set.Add({"", "kid_subset_size", "samples", "samples of each side in a subset"}, &kid_subset_size_, {2, 1 << 30});
    set.Add({"", "seed", "", "of the draw of the subsets"}, &seed_, {0});
    set.Add({"", "splits", "parts", "parts of the inception score, in the order of the rows"}, &splits_, {1, 1 << 30});
    set.Add({"", "k", "neighbours", "which neighbour's distance is a radius in precision and recall"}, &k_,
            {1, 1 << 20});
    set.AddChoice({"", "prc_convention", "",
                   "paper: precision is the share of generated samples in the real manifold; "
                   "torch-fidelity: as that tool prints it when the generated set is its "
                   "first input, the two exchanged"},
                  &prc_convention_, {kPaper, kTorchFidelity});
    set.AddFlag({"", "force", "", "compare features although their files name different protocols or extractors"},
                &force_);
    AddJsonFlag(set, &json_);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    if (world.world_rank != 0) return ExitCode::kDone;
    CheckOptions(set);
    SetArithmeticThreads(ThreadsPerRank({}, 0));
    nlohmann::ordered_json values, facts;
    if (Wants("fid") || Wants("kid") || Wants("prc")) {
      const Side generated("--generated", generated_, key_), reference("--reference", reference_, reference_key_);
      CheckComparable(generated, reference);
      Compare(generated, reference, values, facts);
    } else {
      facts["generated"] = generated_;
      facts["generated_digest"] = DigestOfFile(generated_);
    }
    if (Wants("is")) AddInceptionScore(values, facts);
    Print(std::move(values), facts);
    return ExitCode::kDone;
  }

 private:
  bool Wants(const std::string& metric) const { return std::ranges::count(metrics_, metric) > 0; }

  void CheckOptions(const OptionSet& set) const {
    set.Require("generated");
    set.Require("metrics");
    for (const std::string& metric : metrics_) {
      if (std::ranges::count(kMetrics, metric) > 0) continue;
      throw ConfigError("--metrics: expected any of {}, found '{}'{}", fmt::join(kMetrics, ", "), metric,
                        Suggestion(metric, kMetrics));
    }
    const bool only_score = std::ranges::all_of(metrics_, [](const std::string& metric) { return metric == "is"; });
    if (!only_score) set.Require("reference");
  }

  void CheckComparable(const Side& generated, const Side& reference) const {
    if (generated.dim() != reference.dim()) {
      throw InputError("{} has {} features, {} has {}; compare what one extractor made", generated.Text(),
                       generated.dim(), reference.Text(), reference.dim());
    }
    for (const char* fact : kSharedFacts) {
      const std::string ours = generated.file().Fact(fact), theirs = reference.file().Fact(fact);
      if (force_ || ours.empty() || theirs.empty() || ours == theirs) continue;
      throw InputError(
          "{} was made with {} '{}', {} with '{}': values would mean nothing; make both with one "
          "extractor, or give --force",
          generated.Text(), fact, ours, reference.Text(), theirs);
    }
  }

  void Compare(const Side& generated, const Side& reference, nlohmann::ordered_json& values,
               nlohmann::ordered_json& facts) const {
    if (Wants("kid")) CheckKid(generated, reference);
    if (Wants("prc")) {
      for (const Side* side : {&generated, &reference}) side->Features(fmt::format("prc with k = {}", k_), k_ + 1);
    }
    if (Wants("fid")) values["fid"] = FrechetReference(reference.Gaussian()).Distance(generated.Gaussian());
    if (Wants("kid")) AddKid(generated.Features("kid", 2), reference.Features("kid", 2), values, facts);
    if (Wants("prc")) AddPrecisionRecall(generated.Features("prc", 2), reference.Features("prc", 2), values, facts);
    generated.Describe("generated", facts);
    reference.Describe("reference", facts);
    facts["num_features"] = generated.dim();
    for (const char* fact : kSharedFacts) {
      const std::string ours = generated.file().Fact(fact), theirs = reference.file().Fact(fact);
      if (!ours.empty() || !theirs.empty()) facts[fact] = ours.empty() ? theirs : ours;
      if (!ours.empty() && !theirs.empty() && ours != theirs) facts[std::string("reference_") + fact] = theirs;
    }
  }

  void CheckKid(const Side& generated, const Side& reference) const {
    const std::int64_t most = std::min(generated.Features("kid", 2).size(0), reference.Features("kid", 2).size(0));
    if (kid_subsets_ > 0 && kid_subset_size_ > most) {
      throw ConfigError("--kid-subset-size: expected at most {}, the samples of the smaller side, found {}", most,
                        kid_subset_size_);
    }
  }

  void AddKid(const at::Tensor& generated, const at::Tensor& reference, nlohmann::ordered_json& values,
              nlohmann::ordered_json& facts) const {
    values["kid"] = KernelInceptionDistance(generated, reference);
    if (kid_subsets_ == 0) return;
    const MeanStd subsets = KernelInceptionDistance(
        generated, reference, KidSubsets{kid_subsets_, kid_subset_size_, static_cast<std::uint64_t>(seed_)});
    values["kid_mean"] = subsets.mean;
    values["kid_std"] = subsets.std;
    facts["kid_subsets"] = kid_subsets_;
    facts["kid_subset_size"] = kid_subset_size_;
    facts["seed"] = seed_;
  }

  void AddPrecisionRecall(const at::Tensor& generated, const at::Tensor& reference, nlohmann::ordered_json& values,
                          nlohmann::ordered_json& facts) const {
    PrecisionRecall shares = ImprovedPrecisionRecall(generated, reference, static_cast<int>(k_));
    if (prc_convention_ == kTorchFidelity) std::swap(shares.precision, shares.recall);
    values["precision"] = shares.precision;
    values["recall"] = shares.recall;
    values["f_score"] = shares.f_score;
    facts["k"] = k_;
    facts["prc_convention"] = prc_convention_;
  }

  void AddInceptionScore(nlohmann::ordered_json& values, nlohmann::ordered_json& facts) const {
    const FeatureFile file(generated_);
    const std::string key = LogitsKey(file);
    const at::Tensor logits = file.Read(key);
    if (logits.size(0) < splits_) {
      throw InputError("--generated {} (array '{}'): expected at least {} rows for {} splits, found {}", generated_,
                       key, splits_, splits_, logits.size(0));
    }
    const MeanStd score = InceptionScore(logits, splits_);
    values["inception_score"] = score.mean;
    values["inception_score_std"] = score.std;
    facts["logits_key"] = key;
    facts["num_logits"] = logits.size(0);
    facts["splits"] = splits_;
    if (!facts.contains("protocol") && !file.Fact("protocol").empty()) facts["protocol"] = file.Fact("protocol");
  }

  std::string LogitsKey(const FeatureFile& file) const {
    if (!logits_key_.empty()) return logits_key_;
    for (const char* key : {"logits_unbiased", "logits"}) {
      if (file.Contains(key)) return key;
    }
    const bool only_score = std::ranges::all_of(metrics_, [](const std::string& metric) { return metric == "is"; });
    if (only_score && !key_.empty()) return key_;
    throw InputError(
        "--generated {}: expected an array 'logits_unbiased' or 'logits' for the inception score, found "
        "none; name it with --logits-key",
        generated_);
  }

  void Print(nlohmann::ordered_json values, const nlohmann::ordered_json& facts) const {
    if (json_) {
      values.update(facts);
      std::printf("%s\n", values.dump().c_str());
      return;
    }
    Table table({"metric", "value"});
    for (const auto& [name, value] : values.items()) table.AddRow({name, fmt::format("{:.6g}", value.get<double>())});
    Table made({"what", "value"});
    for (const auto& [name, value] : facts.items()) {
      made.AddRow({name, value.is_string() ? value.get<std::string>() : value.dump()});
    }
    std::fputs((table.ToString() + "\n" + made.ToString()).c_str(), stdout);
  }

  std::string generated_, key_, reference_, reference_key_, logits_key_;
  std::vector<std::string> metrics_;
  std::int64_t kid_subsets_ = 0, kid_subset_size_ = 1000, seed_ = 1, splits_ = 10, k_ = 3;
  std::string prc_convention_ = kPaper;
  bool force_ = false, json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeMetricsCommand() { return std::make_unique<MetricsCommand>(); }

}  // namespace lcsc
