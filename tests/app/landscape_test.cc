// `lcsc landscape` on a tiny project: what it writes, that ranks change nothing, that it goes on, what it refuses.
#include <sstream>

#include "app/tiny_project.h"
#include "lcsc/io/png.h"

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class LandscapeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    project_ = new TinyProject;
    ASSERT_EQ(RunCommand(Lcsc(project_->Search("run"))).exit_code, 0);
  }
  static void TearDownTestSuite() { delete project_; }

  static std::string Path(const std::string& name) { return project_->Path(name); }
  static Arguments Command(const std::string& output, const Arguments& more = {}) {
    return Arguments{"landscape", "--config", Path("search.ini"), "--output", Path(output), "--json"} + more;
  }
  static Json JsonOf(const Arguments& command) {
    const CommandResult result = RunCommand(command);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }
  // Fields of the lines behind the first.
  static std::vector<std::vector<std::string>> TableOf(const std::string& output) {
    std::vector<std::vector<std::string>> lines;
    std::istringstream csv(ReadBytes(Path(output + "/landscape.csv")));
    std::string line;
    for (std::getline(csv, line); std::getline(csv, line);) {
      std::istringstream fields(line);
      lines.emplace_back();
      for (std::string field; std::getline(fields, field, ',');) lines.back().push_back(field);
    }
    return lines;
  }
  static TinyProject* project_;
};
TinyProject* LandscapeTest::project_ = nullptr;

TEST_F(LandscapeTest, TableJsonAndPictureOfARun) {
  const Json json = JsonOf(Lcsc({"landscape", Path("run"), "--grid", "4", "--json"}));
  EXPECT_EQ(json, Json::parse(ReadBytes(Path("run/landscape.json"))));
  EXPECT_EQ(json["finished"], true);
  EXPECT_EQ(json["points_done"], 19);
  EXPECT_EQ(json["num_samples"], 60);
  ASSERT_EQ(json["checkpoints"].size(), 3u);
  EXPECT_EQ(json["checkpoints"][1]["step"], 30);
  EXPECT_EQ(json["checkpoints"][1]["y"], 0);
  EXPECT_EQ(json["candidates"][0]["weights"], "best EMA");
  EXPECT_GT(json["candidates"][0]["distance_to_plane"], 0);
  const at::Tensor picture = ReadPng(Path("run/landscape.png"));
  EXPECT_EQ(picture.sizes().vec(), (std::vector<std::int64_t>{3, json["picture"]["height"].get<std::int64_t>(),
                                                              json["picture"]["width"].get<std::int64_t>()}));
  const auto table = TableOf("run");
  ASSERT_EQ(table.size(), 19u);
  double least = 1e300;
  for (const auto& line : table) {
    ASSERT_EQ(line.size(), 10u) << "no failure";
    EXPECT_NEAR(std::stod(line[6]) + std::stod(line[7]) + std::stod(line[8]), 1, 1e-7);
    if (line[1] == "grid") least = std::min(least, std::stod(line[9]));
  }
  EXPECT_EQ(json["minimum"]["score"], least);
}

// The third checkpoint's score is that of its own weights.
TEST_F(LandscapeTest, ACheckpointScoresAsItsFileDoes) {
  const Json json = JsonOf(Lcsc(Command("corners", {"--grid", "2", "--checkpoints", "20,50,40"})));
  const Json evaluated = JsonOf(Lcsc({"evaluate", "--config", Path("search.ini"), "--weights",
                                      project_->CheckpointPath(3), "--num-samples", "60", "--json"}));
  EXPECT_EQ(json["checkpoints"][2]["step"], 40);
  const double score = evaluated["fid"];
  EXPECT_NEAR(json["checkpoints"][2]["score"].get<double>(), score, 1e-4 * score);
}

TEST_F(LandscapeTest, AStoppedOneGoesOnAndEqualsOneOfRanks) {
  const Arguments grid = {"--grid", "14"};
  const Arguments command = Lcsc(Command("stopped", grid));
  RunningCommand running(command);
  ASSERT_TRUE(running.WaitUntil([&] { return std::filesystem::exists(Path("stopped/landscape.csv")); }));
  running.Signal(SIGTERM);
  const CommandResult stopped = running.Wait();
  EXPECT_EQ(stopped.exit_code, 3) << stopped.err;
  const std::size_t done = TableOf("stopped").size();
  EXPECT_LT(done, 199u);
  EXPECT_GT(done, 0u);
  EXPECT_EQ(Json::parse(stopped.out)["finished"], false);
  EXPECT_FALSE(std::filesystem::exists(Path("stopped/landscape.png")));
  const Json resumed = JsonOf(command);
  EXPECT_EQ(resumed["points_done_before"], done);
  EXPECT_EQ(resumed["points_done"], 199);

  const Json ranks = JsonOf(MpiLcsc(3, Command("ranks", grid)));
  EXPECT_EQ(ranks["minimum"]["id"], resumed["minimum"]["id"]);
  const auto alone_table = TableOf("stopped"), ranks_table = TableOf("ranks");
  ASSERT_EQ(alone_table.size(), ranks_table.size());
  for (std::size_t i = 0; i < alone_table.size(); ++i) {
    const double score = std::stod(alone_table[i][9]);
    EXPECT_NEAR(std::stod(ranks_table[i][9]), score, 1e-6 * score) << i;
  }
}

TEST_F(LandscapeTest, WhatDoesNotBelongTogetherIsRefused) {
  ASSERT_EQ(RunCommand(Lcsc(Command("small", {"--grid", "2"}))).exit_code, 0);
  const std::string csv = ReadBytes(Path("small/landscape.csv"));
  const auto refusal_of = [](const Arguments& more, const std::string& output = "small") {
    const CommandResult result = RunCommand(Lcsc(Command(output, more)));
    EXPECT_EQ(result.exit_code, 2) << result.out;
    return result.err;
  };
  EXPECT_THAT(refusal_of({"--grid", "3"}), AllOf(HasSubstr("landscape.grid"), HasSubstr("\"2\""), HasSubstr("\"3\"")));
  EXPECT_THAT(refusal_of({"--grid", "2", "--set", "evaluation.seed=9"}), HasSubstr("evaluation.seed"));
  EXPECT_EQ(ReadBytes(Path("small/landscape.csv")), csv);
  EXPECT_THAT(refusal_of({"--checkpoints", "10,20"}, "other"), HasSubstr("three steps"));
  EXPECT_THAT(refusal_of({"--checkpoints", "10,20,25"}, "other"), HasSubstr("found 25"));
  EXPECT_THAT(refusal_of({"--checkpoints", "10,20,10"}, "other"), HasSubstr("different"));
  WriteBytes(Path("small/landscape.json"), "{");
  EXPECT_THAT(refusal_of({"--grid", "2"}), HasSubstr("landscape.json"));
}

}  // namespace
}  // namespace lcsc
