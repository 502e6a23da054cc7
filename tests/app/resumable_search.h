// A search of 63 evaluations, each long enough to be caught in the middle, and what it finds when nobody disturbs it.
#pragma once

#include <algorithm>

#include "app/tiny_project.h"

namespace lcsc {

class ResumableSearch : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    project_ = new TinyProject;
    project_->Pack("bf16", "other.traj");
    whole_ = new nlohmann::json(project_->CandidatesOf(Lcsc(Search("whole")), "whole"));
    ASSERT_EQ(whole_->size(), 63u);
  }
  static void TearDownTestSuite() {
    delete project_;
    delete whole_;
  }

  // A search of 3 + 10 * epochs evaluations, each long enough to be caught in the middle.
  static Arguments Search(const std::string& run, const Arguments& more = {}, std::int64_t epochs = 6) {
    return project_->Search(run, Arguments{"--set", "search.epochs=" + std::to_string(epochs), "--set",
                                           "search.children=10", "--set", "evaluation.num_samples=320"} +
                                     more);
  }

  static std::int64_t OutcomesOf(const std::string& run) {
    const std::string metrics = ReadBytes(project_->Path(run) + "/metrics.jsonl");
    return std::count(metrics.begin(), metrics.end(), '\n');
  }

  // Waits for so many outcomes of a search that is to be stopped.
  static void AwaitOutcomes(RunningCommand& command, const std::string& run, std::int64_t count = 25) {
    ASSERT_TRUE(command.WaitUntil([&] { return OutcomesOf(run) >= count; })) << command.Wait().err;
  }

  // The number of outcomes in the snapshot of an unfinished search.
  static std::int64_t ExpectUnfinished(const std::string& run, const std::string& state) {
    const nlohmann::json status = project_->Status(run);
    EXPECT_EQ(status["state"], state);
    EXPECT_GT(status["evaluations"], 0);
    EXPECT_LT(status["evaluations"], status["planned_evaluations"]);
    return status["evaluations"];
  }

  static void ExpectRefused(const std::string& run, const Arguments& more, const std::vector<std::string>& words) {
    const std::string before = ReadBytes(project_->Path(run) + "/population.h5");
    const CommandResult result = RunCommand(Lcsc(Search(run, more)));
    EXPECT_EQ(result.exit_code, 2);
    for (const std::string& word : words) EXPECT_THAT(result.err, ::testing::HasSubstr(word));
    EXPECT_EQ(ReadBytes(project_->Path(run) + "/population.h5"), before);
  }

  static inline TinyProject* project_ = nullptr;
  static inline nlohmann::json* whole_ = nullptr;  // the candidates of the uninterrupted search
};

}  // namespace lcsc
