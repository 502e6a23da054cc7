#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "lcsc/base/error.h"
#include "lcsc/base/process.h"
#include "lcsc/search/evolution.h"
#include "lcsc/service/evaluation_service.h"
#include "mpi_world.h"
#include "service/formula_evaluator.h"

namespace lcsc {
namespace {

std::vector<Candidate> SomeCandidates(std::int64_t count) {
  std::vector<Candidate> candidates;
  for (std::int64_t i = 0; i < count; ++i) {
    candidates.push_back(
        {.id = 100 + i, .coefficients = {1.0 - 0.01 * static_cast<double>(i), 0.01 * static_cast<double>(i)}});
  }
  return candidates;
}

EvaluatorFactory Formula(const Pauses& pauses = {}) {
  return [=](Collective& group) { return std::make_unique<FormulaEvaluator>(group, pauses); };
}

// Every size that divides the workers.
std::vector<std::int64_t> GroupSizes() {
  std::vector<std::int64_t> sizes;
  const std::int64_t workers = TestWorld().world_size - 1;
  for (std::int64_t size = 1; size <= workers; ++size) {
    if (workers % size == 0) sizes.push_back(size);
  }
  return sizes;
}

TEST(EvaluationServiceTest, EveryGroupSizeGivesEveryCandidateItsScore) {
  for (const std::int64_t group_size : GroupSizes()) {
    RunOptions run;
    run.group_size = group_size;
    bool task_ran = false;
    RunEvaluationService(TestWorld(), run, Formula(), [&](EvaluationPool& pool) {
      task_ran = true;
      EXPECT_EQ(pool.num_groups(), (TestWorld().world_size - 1) / group_size);
      const auto candidates = SomeCandidates(40);
      std::size_t shown = 0;
      const auto outcomes = EvaluateAll(pool, candidates, [&](std::size_t done) { shown = done; });
      EXPECT_EQ(shown, 40u);
      for (std::size_t i = 0; i < candidates.size(); ++i) {
        ASSERT_TRUE(outcomes[i].score.has_value());
        EXPECT_NEAR(*outcomes[i].score, FormulaScore(candidates[i].coefficients), 1e-12);
      }
    });
    EXPECT_EQ(task_ran, TestWorld().world_rank == 0);
  }
}

TEST(EvaluationServiceTest, ASearchOverGroupsEqualsTheSearchInOneProcess) {
  SearchOptions options;
  options.epochs = 6;
  options.children = 9;
  const std::vector<std::int64_t> steps = {10, 20, 30, 40, 50};
  Evolution serial(options, steps);
  while (const auto candidate = serial.Ask()) {
    serial.Tell(candidate->id, {.score = FormulaScore(candidate->coefficients), .failure = "", .seconds = {}});
  }
  for (const std::int64_t group_size : GroupSizes()) {
    RunOptions run;
    run.group_size = group_size;
    RunEvaluationService(TestWorld(), run, Formula({.measure_us = 200}), [&](EvaluationPool& pool) {
      Evolution parallel(options, steps);
      while (!parallel.Finished()) {
        while (pool.HasRoom()) {
          const auto candidate = parallel.Ask();
          if (!candidate) break;
          pool.Submit(*candidate);
        }
        if (const auto result = pool.Wait(5)) parallel.Tell(result->candidate_id, result->outcome);
      }
      const auto left = serial.Population(), right = parallel.Population();
      ASSERT_EQ(left.size(), right.size());
      for (std::size_t i = 0; i < left.size(); ++i) {
        EXPECT_EQ(left[i].candidate, right[i].candidate);
        EXPECT_NEAR(*left[i].outcome.score, *right[i].outcome.score, 1e-6 * *left[i].outcome.score);
      }
    });
  }
}

TEST(EvaluationServiceTest, AnErrorInOneRanksSetUpIsThrownByAll) {
  RunOptions run;
  const auto broken = [](Collective&) -> std::unique_ptr<StagedEvaluator> {
    if (TestWorld().world_rank == TestWorld().world_size - 1) throw InputError("no shard here");
    return nullptr;
  };
  EXPECT_THROW(RunEvaluationService(TestWorld(), run, broken, [](EvaluationPool&) { FAIL(); }), SetUpError);
}

TEST(EvaluationServiceTest, AGroupSizeThatDoesNotDivideIsRefusedByAll) {
  RunOptions run;
  run.group_size = TestWorld().world_size;
  EXPECT_THROW(RunEvaluationService(TestWorld(), run, Formula(), [](EvaluationPool&) { FAIL(); }), SetUpError);
}

TEST(EvaluationServiceTest, WaitingCandidatesAreNotBegunAfterTheTaskEnds) {
  RunOptions run;
  run.queue_depth = 50;
  RunEvaluationService(TestWorld(), run, Formula({.measure_us = 2000}), [&](EvaluationPool& pool) {
    for (const Candidate& candidate : SomeCandidates(50)) pool.Submit(candidate);
    EXPECT_TRUE(pool.Wait(5).has_value());
  });
}

TEST(EvaluationServiceTest, GroupsAreBusyMostOfTheTime) {
  RunOptions run;
  RunEvaluationService(TestWorld(), run, Formula({.measure_us = 5000}), [&](EvaluationPool& pool) {
    EvaluateAll(pool, SomeCandidates(pool.num_groups() * 20), [](std::size_t) {});
    EXPECT_GT(pool.Utilisation(), 0.5);
    EXPECT_LE(pool.Utilisation(), 1.0);
  });
}

// Merge and distance take as long as they may without being seen: less than the samples.
TEST(EvaluationServiceTest, MergeAndDistanceHideBehindTheSamples) {
  RunOptions run;
  const Pauses pauses = {.prepare_us = 25000, .measure_us = 50000, .finish_us = 25000};
  double best = 0;  // of three, for other work on the machine lengthens every pause
  for (int i = 0; i < 3; ++i) {
    RunEvaluationService(TestWorld(), run, Formula(pauses), [&](EvaluationPool& pool) {
      EvaluateAll(pool, SomeCandidates(pool.num_groups() * 40), [](std::size_t) {});
      std::printf("overlapped: sampling %.1f %% of the time\n", 100 * pool.Utilisation());
      best = std::max(best, pool.Utilisation());
    });
  }
  if (TestWorld().world_rank == 0) {
    EXPECT_GE(best, 0.95);
  }
  run.overlap = "off";
  RunEvaluationService(TestWorld(), run, Formula(pauses), [&](EvaluationPool& pool) {
    EvaluateAll(pool, SomeCandidates(pool.num_groups() * 20), [](std::size_t) {});
    std::printf("one after the other: sampling %.1f %% of the time\n", 100 * pool.Utilisation());
    EXPECT_LE(pool.Utilisation(), 0.6);
  });
}

TEST(EvaluationServiceTest, TheTraceShowsAllRanksOnOneTimeLine) {
  RunOptions run;
  run.trace = std::filesystem::path(::testing::TempDir()) /
              ("service_trace_" + std::to_string(TestWorld().world_size) + ".json");
  const Pauses pauses = {.prepare_us = 2000, .measure_us = 5000, .finish_us = 2000};
  constexpr int kPerGroup = 10;
  RunEvaluationService(TestWorld(), run, Formula(pauses), [&](EvaluationPool& pool) {
    EvaluateAll(pool, SomeCandidates(pool.num_groups() * kPerGroup), [](std::size_t) {});
  });
  if (TestWorld().world_rank != 0) return;
  const auto trace = nlohmann::json::parse(std::ifstream(run.trace));
  std::map<int, std::vector<std::pair<double, double>>> samples, others;  // by rank: begin and end
  int in_flight = 0;
  for (const auto& event : trace.at("traceEvents")) {
    if (event["ph"] == "b") ++in_flight;
    if (event["ph"] != "X") continue;
    auto& spans = event["name"] == "sample" ? samples : others;
    const double begin = event["ts"], duration = event["dur"];
    spans[event["pid"]].emplace_back(begin, begin + duration);
  }
  const int num_workers = TestWorld().world_size - 1;
  EXPECT_EQ(in_flight, num_workers * kPerGroup);
  EXPECT_EQ(samples.size(), static_cast<std::size_t>(num_workers));
  std::size_t num_samples = 0;
  for (const auto& [rank, spans] : samples) {
    num_samples += spans.size();
    std::size_t hidden = 0;
    for (const auto& [begin, end] : others.at(rank)) {
      hidden += std::ranges::any_of(spans, [&](const auto& span) { return span.first <= begin && end <= span.second; });
    }
    EXPECT_GT(hidden, spans.size() / 2) << "of " << 2 * spans.size() << " merges and distances of rank " << rank;
  }
  EXPECT_EQ(num_samples, static_cast<std::size_t>(num_workers * kPerGroup));
}

TEST(PipelineTest, EveryThreadThatCallsAStageIsEntered) {
  struct Entered : FormulaEvaluator {
    using FormulaEvaluator::FormulaEvaluator;
    void EnterThread() override {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
    }
    void Expect() {
      const std::lock_guard lock(mutex);
      EXPECT_TRUE(threads.contains(std::this_thread::get_id()));
    }
    void Prepare(std::span<EvaluationJob> jobs) override { Expect(), FormulaEvaluator::Prepare(jobs); }
    void Measure(EvaluationJob& job) override { Expect(), FormulaEvaluator::Measure(job); }
    void Finish(EvaluationJob& job) override { Expect(), FormulaEvaluator::Finish(job); }
    std::mutex mutex;
    std::set<std::thread::id> threads;
  };
  for (const auto& [overlap, num_threads] : {std::pair(Overlap::kOn, 3u), std::pair(Overlap::kOff, 1u)}) {
    LocalCollective group;
    Entered evaluator(group);
    LocalPool pool(evaluator, {.overlap = overlap});
    EvaluateAll(pool, SomeCandidates(5), [](std::size_t) {});
    EXPECT_EQ(evaluator.threads.size(), num_threads);
  }
}

TEST(PipelineTest, AnErrorInAStageIsThrownByTheLocalPool) {
  struct Broken : FormulaEvaluator {
    using FormulaEvaluator::FormulaEvaluator;
    void Prepare(std::span<EvaluationJob> jobs) override {
      if (jobs.front().candidate.id == 103) throw InputError("the shard is gone");
    }
  };
  LocalCollective group;
  Broken evaluator(group);
  LocalPool pool(evaluator, {});
  try {
    EvaluateAll(pool, SomeCandidates(10), [](std::size_t) {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kBadInput);
    EXPECT_EQ(error.what(), fmt::format("the shard is gone (rank {} on {}, candidate 103, stage prepare)",
                                        TestWorld().world_rank, HostName()));
  }
}

}  // namespace
}  // namespace lcsc
