// `lcsc metrics` as a user runs it: the recorded values, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "app/command.h"
#include "app/run_command.h"
#include "lcsc/io/npz.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/metric/frechet.h"

namespace lcsc {
namespace {

using testing::HasSubstr;

const std::string kRecorded = std::string(LCSC_SOURCE_DIR) + "/tests/data/metrics.io.safetensors";

class MetricsCommandTest : public testing::Test {
 protected:
  static nlohmann::json Run(const Arguments& more) {
    const CommandResult result = RunCommand(Lcsc(Arguments{"metrics", "--json"} + more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  // In this process: the same way through the program, without paying its start for each refusal.
  static void ExpectRefused(const Arguments& more, const std::vector<std::string>& words) {
    const std::string message = MessageOf<Error>([&] { RunCommandLine(World{}, Arguments{"metrics"} + more); });
    for (const std::string& word : words) EXPECT_THAT(message, HasSubstr(word));
  }

  // Writes a file of features and returns its path.
  std::string Write(const std::string& name, const NamedTensors& tensors,
                    const std::map<std::string, std::string>& metadata = {}) const {
    if (name.ends_with(".npz")) {
      WriteNpz(folder_ / name, tensors, metadata);
    } else {
      WriteSafetensors(folder_ / name, tensors, metadata);
    }
    return folder_ / name;
  }

  const TempFolder folder_;
};

void ExpectNear(const nlohmann::json& json, const std::string& key, double recorded) {
  ASSERT_TRUE(json[key].is_number()) << key << " in " << json.dump();
  const double error = std::abs(json[key].get<double>() / recorded - 1);
  std::printf("%s: relative error %.2e\n", key.c_str(), error);
  EXPECT_LT(error, 1e-6) << key;
}

TEST_F(MetricsCommandTest, PrintsTheRecordedValuesAndWhatTheyWereComputedFrom) {
  const SafetensorsFile file(kRecorded);
  const auto recorded = [&](const char* name) { return std::stod(file.metadata().at(name)); };
  const nlohmann::json found = Run({"--generated", kRecorded, "--key", "A", "--reference", kRecorded, "--reference-key",
                                    "B", "--metrics", "fid,kid,is,prc"});
  ExpectNear(found, "fid", recorded("fid"));
  ExpectNear(found, "kid", recorded("kid_full_unbiased"));
  ExpectNear(found, "inception_score", recorded("inception_score_unshuffled_10_splits"));
  ExpectNear(found, "inception_score_std", recorded("inception_score_std"));
  // Recorded with the roles that torch-fidelity gives the sets: docs/metrics.md.
  ExpectNear(found, "precision", recorded("torch_fidelity.recall (reference=B, generated=A, k=3)"));
  ExpectNear(found, "recall", recorded("torch_fidelity.precision (reference=B, generated=A, k=3)"));
  ExpectNear(found, "f_score", recorded("torch_fidelity.f_score (reference=B, generated=A, k=3)"));
  EXPECT_EQ(found["num_generated"], 1200);
  EXPECT_EQ(found["num_reference"], 1500);
  EXPECT_EQ(found["num_features"], 64);
  EXPECT_EQ(found["reference_key"], "B");
  EXPECT_EQ(found["reference_digest"].get<std::string>().size(), 32U);
  EXPECT_FALSE(found.contains("kid_mean"));
}

TEST_F(MetricsCommandTest, ExchangesPrecisionAndRecallForTorchFidelitysConvention) {
  const nlohmann::json found = Run({"--generated", kRecorded, "--key", "A", "--reference", kRecorded, "--reference-key",
                                    "B", "--metrics", "prc", "--prc-convention", "torch-fidelity"});
  EXPECT_DOUBLE_EQ(found["precision"].get<double>(), 1014.0 / 1500);
  EXPECT_DOUBLE_EQ(found["recall"].get<double>(), 1097.0 / 1200);
  EXPECT_FALSE(found.contains("fid"));
}

TEST_F(MetricsCommandTest, FindsFeaturesAndLogitsByTheirNamesAndSubsetsOfASeed) {
  const at::Tensor a = at::randn({60, 4}), b = at::randn({50, 4}).to(at::kHalf);
  const std::string generated =
      Write("g.safetensors", {{"features", a}, {"logits_unbiased", at::eye(60)}, {"logits", at::ones({60, 3})}},
            {{"protocol", "tf1"}});
  const std::string reference = Write("r.npz", {{"any", b}});
  const Arguments both = {"--generated",   generated, "--reference",       reference, "--metrics", "kid,is",
                          "--kid-subsets", "5",       "--kid-subset-size", "20",      "--splits",  "2",
                          "--seed"};
  const nlohmann::json first = Run(both + Arguments{"3"}), again = Run(both + Arguments{"3"});
  EXPECT_EQ(first, again);
  EXPECT_NE(first["kid_mean"], Run(both + Arguments{"4"})["kid_mean"]);
  EXPECT_EQ(first["logits_key"], "logits_unbiased");
  EXPECT_EQ(first["reference_key"], "any");
  EXPECT_EQ(first["protocol"], "tf1");
  EXPECT_EQ(first["seed"], 3);
}

TEST_F(MetricsCommandTest, TakesStatisticsForFidAlone) {
  const SafetensorsFile file(kRecorded);
  FeatureStatistics statistics(64);
  statistics.Add(file.Read("B"));
  const GaussianStatistics gaussian = GaussianOf(statistics);
  const std::string reference = Write("r.npz", {{"mu", gaussian.mean.to(at::kFloat)},
                                                {"sigma", gaussian.covariance.to(at::kFloat)},
                                                {"arr_0", at::zeros({2, 4, 4, 3}, at::kByte)}});
  const Arguments given = {"--generated", kRecorded, "--key", "A", "--reference", reference, "--metrics"};
  EXPECT_NEAR(Run(given + Arguments{"fid"})["fid"].get<double>() / std::stod(file.metadata().at("fid")), 1, 1e-5);
  ExpectRefused(given + Arguments{"fid,kid"}, {reference, "kid", "statistics", "serve fid alone"});
}

TEST_F(MetricsCommandTest, NeedsNoReferenceForTheInceptionScoreAlone) {
  const std::string generated = Write("l.npz", {{"mine", at::eye(20) * 1000}});
  const nlohmann::json found = Run({"--generated", generated, "--key", "mine", "--metrics", "is"});
  EXPECT_NEAR(found["inception_score"].get<double>(), 2, 1e-9);  // ten parts of two certain classes each
  ExpectRefused({"--generated", generated, "--metrics", "fid"}, {"--reference"});
}

TEST_F(MetricsCommandTest, EndsWithCode2AndOneLineOnBadInput) {
  const CommandResult result = RunCommand(Lcsc({"metrics", "--generated", folder_ / "none.npz", "--metrics", "is"}));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, testing::AllOf(HasSubstr("lcsc: error: "), HasSubstr("none.npz")));
}

TEST_F(MetricsCommandTest, PrintsATableForPeople) {
  const std::string features = Write("f.safetensors", {{"features", at::eye(5)}});
  const CommandResult result =
      RunCommand(Lcsc({"metrics", "--generated", features, "--reference", features, "--metrics", "fid,prc"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, testing::ContainsRegex("precision +1\n"));
  EXPECT_THAT(result.out, testing::ContainsRegex("num_features +5\n"));
}

TEST_F(MetricsCommandTest, RefusesInWordsThatNameFileArrayAndWay) {
  at::Tensor broken = at::randn({30, 4});
  broken[7][2] = std::numeric_limits<float>::quiet_NaN();
  const std::string file = Write("f.safetensors", {{"a", at::randn({30, 4})},
                                                   {"wide", at::randn({30, 5})},
                                                   {"few", at::randn({3, 4})},
                                                   {"broken", broken},
                                                   {"whole", at::ones({30, 4}, at::kLong)}});
  const auto given = [&](const std::string& key, const std::string& reference_key, const std::string& metrics) {
    return Arguments{"--generated",     file,          "--key",     key,    "--reference", file,
                     "--reference-key", reference_key, "--metrics", metrics};
  };
  ExpectRefused(given("a", "wide", "fid"), {"4 features", "'wide'", "5"});
  ExpectRefused(given("few", "a", "prc"), {"'few'", "at least 4 rows", "found 3"});
  ExpectRefused(given("broken", "a", "kid"), {"f.safetensors", "'broken'", "found nan at row 7, column 2"});
  ExpectRefused(given("whole", "a", "kid"), {"'whole'", "floating-point", "Long"});
  ExpectRefused(given("b", "a", "kid"), {"expected an array 'b'", "'few' F32 [3, 4]"});
  ExpectRefused(given("a", "a", "fd"), {"found 'fd'", "did you mean 'fid'"});
  ExpectRefused(given("a", "a", "is,fid"), {"'logits'", "--logits-key"});
  ExpectRefused(given("a", "a", "kid") + Arguments{"--kid-subsets", "2"}, {"--kid-subset-size", "at most 30"});
  ExpectRefused({"--generated", file, "--reference", file, "--metrics", "fid"}, {"name the array", "'wide'"});
}

TEST_F(MetricsCommandTest, RefusesImagesAndOtherProtocolsUnlessForced) {
  const NamedTensors features = {{"features", at::randn({30, 4})}};
  const std::string ours = Write("ours.safetensors", features, {{"protocol", "tf1"}});
  const std::string theirs = Write("theirs.safetensors", features, {{"protocol", "pytorch-fid"}});
  const std::string images = Write("images.npz", {{"arr_0", at::zeros({2, 4, 4, 3}, at::kByte)}});
  ExpectRefused({"--generated", ours, "--reference", images, "--metrics", "fid"}, {"images", "lcsc features"});
  const Arguments given = {"--generated", ours, "--reference", theirs, "--metrics", "fid"};
  ExpectRefused(given, {"protocol 'tf1'", "'pytorch-fid'", "--force"});
  const nlohmann::json found = Run(given + Arguments{"--force"});
  EXPECT_NEAR(found["fid"].get<double>(), 0, 1e-6);
  EXPECT_EQ(found["reference_protocol"], "pytorch-fid");
}

}  // namespace
}  // namespace lcsc
