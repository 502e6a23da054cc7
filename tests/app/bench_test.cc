// `lcsc bench`: the ceilings, and what it says of a search beside the search itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "app/tiny_project.h"

namespace lcsc {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

Json ResultOf(const Arguments& command) {
  const CommandResult result = RunCommand(Lcsc(command));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
}

void ExpectRefused(const Arguments& command, const std::string& words) {
  const CommandResult result = RunCommand(command);
  EXPECT_EQ(result.exit_code, 2) << result.out;
  EXPECT_THAT(result.err, HasSubstr(words));
}

// Seconds of all stages of the search's fastest evaluation, by its own record.
double FastestCandidateOf(const TinyProject& project, const std::string& run) {
  const CommandResult searched = RunCommand(Lcsc(project.Search(run)));
  EXPECT_EQ(searched.exit_code, 0) << searched.err;
  std::istringstream lines(ReadBytes(project.Path(run) + "/metrics.jsonl"));
  double fastest = 1e9;
  int evaluations = 0;
  for (std::string line; std::getline(lines, line); ++evaluations) {
    const Json evaluated = Json::parse(line);
    double seconds = 0;
    for (const Json& stage : evaluated["stage_seconds"]) seconds += stage.get<double>();
    fastest = std::min(fastest, seconds);
  }
  EXPECT_EQ(evaluations, 15);
  return fastest;
}

TEST(BenchTest, PredictsWhatATinySearchTakes) {
  const TinyProject project;
  const Arguments config = {"--config", project.Path("search.ini")};
  const Json bench = ResultOf(Arguments{"bench", "--json", "--seconds", "0.02", "--machines", "4"} + config);

  std::vector<int> threads;
  for (const Json& machine : bench["machine"]) {
    threads.push_back(machine["threads"]);
    for (const char* rate : {"copy_bytes_per_second", "product_flops_per_second", "convolution_flops_per_second"}) {
      EXPECT_GT(machine[rate].get<double>(), 1e8) << rate;
    }
  }
  EXPECT_TRUE(std::ranges::is_sorted(threads));
  EXPECT_EQ(threads.front(), 1);
  EXPECT_EQ(threads.back(), bench["cores"]);
  EXPECT_EQ(bench["threads"], 1);  // as the config says
  EXPECT_EQ(bench["evaluations"], 15);
  EXPECT_EQ(bench["measured_samples"], 60);

  double sum = 0;
  std::vector<std::string> names;
  for (const Json& stage : bench["stages"]) {
    names.push_back(stage["stage"]);
    EXPECT_GT(stage["seconds"].get<double>(), 0);
    sum += stage["seconds"].get<double>();
  }
  EXPECT_EQ(names, (std::vector<std::string>{"merge", "sample", "features", "distance"}));
  EXPECT_NEAR(bench["candidate_seconds"].get<double>(), sum, 1e-9);
  // A network of 8 channels does not come near the rate of a large convolution.
  EXPECT_GT(bench["stages"][1]["share_of_ceiling"].get<double>(), 1e-4);
  EXPECT_LT(bench["stages"][1]["share_of_ceiling"].get<double>(), 1);
  EXPECT_GT(bench["stages"][2]["share_of_ceiling"].get<double>(), 1e-4);
  EXPECT_GT(bench["bytes_per_rank"].get<double>(), 1 << 20);

  // 3 EMA rates first, then 3 generations of 4: no more than 4 groups have work.
  const double candidate = bench["candidate_seconds"].get<double>(), groups = bench["cores"].get<double>();
  EXPECT_NEAR(bench["predictions"][0]["search_seconds"].get<double>(),
              candidate * (std::ceil(3 / groups) + 3 * std::ceil(4 / groups)), 1e-9);
  EXPECT_EQ(bench["predictions"][1]["groups"], 4 * bench["cores"].get<int>());
  EXPECT_NEAR(bench["predictions"][1]["search_seconds"].get<double>(), 4 * candidate, 1e-9);

  // Other work on the cores slows either of them down: the fastest of the search's own records, of some searches.
  double fastest = 1e9;
  for (int attempt = 0; attempt < 4 && !(candidate < 3 * fastest && candidate > fastest / 3); ++attempt) {
    fastest = std::min(fastest, FastestCandidateOf(project, "run" + std::to_string(attempt)));
  }
  std::printf("a candidate: predicted %.2f ms, the search's fastest %.2f ms\n", 1e3 * candidate, 1e3 * fastest);
  EXPECT_LT(candidate, 3 * fastest);
  EXPECT_GT(candidate, fastest / 3);
}

TEST(BenchTest, WithoutConfigSaysWhatTheMachineCanDo) {
  const CommandResult result = RunCommand(Lcsc({"bench", "--seconds", "0.02"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("copy GB/s"));
  EXPECT_THAT(result.out, ::testing::Not(HasSubstr("predicted")));
}

TEST(BenchTest, WhatItCannotPredictIsRefused) {
  const TinyProject project;
  ExpectRefused(Lcsc({"bench", "--machines", "4"}), "--config");
  ExpectRefused(MpiLcsc(2, {"bench"}), "expected one rank");
  ExpectRefused(Lcsc({"bench", "--config", project.Path("search.ini"), "--set", "evaluation.trajectory=absent"}),
                "absent");
}

}  // namespace
}  // namespace lcsc
