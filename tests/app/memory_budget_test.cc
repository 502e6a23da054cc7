// A trajectory that is three times as large as the memory that the search may use.
#include <regex>

#include "app/tiny_project.h"

namespace lcsc {
namespace {

constexpr double kMebibyte = 1 << 20;

nlohmann::json WideNetworkJson() {
  nlohmann::json json = TinyNetworkJson();
  json["model_channels"] = 64;
  json["channel_mult"] = {2, 2};
  return json;
}

double MebibytesIn(const std::string& text, const std::string& before) {
  std::smatch match;
  if (!std::regex_search(text, match, std::regex(before + R"(([0-9.]+) (MiB|GiB))"))) return -1;
  return std::stod(match[1]) * (match[2] == "GiB" ? 1024 : 1);
}

class MemoryBudgetTest : public ::testing::Test {
 protected:
  void PackAtLeast(double bytes) {
    at::manual_seed(2);
    NamedTensors weights = StateDict(*MakeDenoiser(WideNetworkJson()));
    std::int64_t num_parameters = 0;
    for (const auto& [name, tensor] : weights) num_parameters += tensor.numel();
    for (std::int64_t step = 1; trajectory_bytes_ < bytes; ++step) {
      for (auto& [name, tensor] : weights) tensor = tensor.detach() + 0.001 * at::randn_like(tensor);
      WriteSafetensors(project_.models().folder() / ("wide-" + std::to_string(step) + ".safetensors"), weights,
                       {{"config", WideNetworkJson().dump()}, {"step", std::to_string(step)}});
      trajectory_bytes_ += 4.0 * static_cast<double>(num_parameters);
    }
    const CommandResult packed =
        RunCommand(Lcsc({"pack", "--checkpoints", project_.models().folder() / "wide-*.safetensors", "--output",
                         project_.Path("wide.traj")}));
    ASSERT_EQ(packed.exit_code, 0) << packed.err;
    project_.WriteConfig("wide.ini", "wide.traj");
  }

  Arguments Search(const std::string& run, const Arguments& more) const {
    return project_.Search(run, Arguments{"--set", "search.epochs=1"} + more, "wide.ini");
  }

  TinyProject project_;
  double trajectory_bytes_ = 0;
};

TEST_F(MemoryBudgetTest, ATrajectoryThreeTimesTheBudgetIsSearchedWithinIt) {
  constexpr double kBudgetMebibytes = 352;
  ASSERT_NO_FATAL_FAILURE(PackAtLeast(3 * kBudgetMebibytes * kMebibyte));
  const CommandResult within = RunCommand(MpiLcsc(
      2, Search("within", {"--memory-budget", std::to_string(kBudgetMebibytes / 1024), "--set", "run.queue_depth=4"})));
  ASSERT_EQ(within.exit_code, 0) << within.err;
  const double peak = MebibytesIn(within.err, "peak memory of a worker: ");
  std::printf("budget %.0f MiB, trajectory %.0f MiB, peak of the worker %.0f MiB\n", kBudgetMebibytes,
              trajectory_bytes_ / kMebibyte, peak);
  EXPECT_GT(peak, 50);
  EXPECT_LE(peak, 1.1 * kBudgetMebibytes) << within.err;

  const CommandResult without = RunCommand(MpiLcsc(2, Search("without", {})));
  ASSERT_EQ(without.exit_code, 0) << without.err;
  EXPECT_GT(MebibytesIn(without.err, "peak memory of a worker: "), 3 * kBudgetMebibytes) << "the peak is measured";
  EXPECT_EQ(project_.Status("within")["candidates"], project_.Status("without")["candidates"]) << "the same bits";
}

// Ranks of one group have different memory left, but go through the pipeline in step.
TEST_F(MemoryBudgetTest, ARankOfAGroupStreamsItsPart) {
  ASSERT_NO_FATAL_FAILURE(PackAtLeast(600 * kMebibyte));
  const Arguments pairs = {"--set", "run.group_size=2", "--set", "run.queue_depth=6"};
  const Arguments budget = {"--memory-budget", std::to_string(340.0 / 1024)};
  const CommandResult within = RunCommand(MpiLcsc(3, Search("within", pairs + budget)));
  ASSERT_EQ(within.exit_code, 0) << within.err;
  const CommandResult without = RunCommand(MpiLcsc(3, Search("without", pairs)));
  ASSERT_EQ(without.exit_code, 0) << without.err;
  ExpectSameSearch(project_.Status("within")["candidates"], project_.Status("without")["candidates"]);
}

TEST_F(MemoryBudgetTest, ABudgetThatHoldsNoNetworkIsRefusedInWords) {
  const CommandResult refused = RunCommand(Lcsc(project_.Search("refused", {"--memory-budget", "0.01"})));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, ::testing::HasSubstr("run.memory_budget"));
  EXPECT_THAT(refused.err, ::testing::HasSubstr("give more"));
}

TEST_F(MemoryBudgetTest, TheGroupSizeIsTheFewestRanksThatHoldTheShard) {
  const nlohmann::json alone = project_.CandidatesOf(Lcsc(project_.Search("alone")), "alone");
  const CommandResult result = RunCommand(MpiLcsc(3, project_.Search("auto", {"--set", "run.group_size=0"})));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  ExpectSameSearch(project_.Status("auto")["candidates"], alone);
}

}  // namespace
}  // namespace lcsc
