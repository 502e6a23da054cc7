#include "lcsc/service/pipeline.h"

#include <algorithm>
#include <thread>

#include "lcsc/base/blocking_queue.h"
#include "lcsc/base/error.h"
#include "lcsc/base/fault_point.h"
#include "lcsc/base/process.h"
#include "lcsc/base/stage_board.h"

namespace lcsc {
namespace {

EvaluationJob JobOf(Candidate candidate, int slot) {
  return {.candidate = std::move(candidate), .slot = slot, .spans = {}, .measured = {}, .outcome = {}};
}

// The board shows the first candidate of a batch.
void CallPrepare(StagedEvaluator& evaluator, std::span<EvaluationJob> jobs) {
  const std::int64_t id = jobs.front().candidate.id;
  const StageScope scope("prepare", id);
  FaultPoint({.name = "stage.prepare", .number = id});
  evaluator.Prepare(jobs);
}

void CallMeasure(StagedEvaluator& evaluator, EvaluationJob& job) {
  const StageScope scope("measure", job.candidate.id);
  FaultPoint({.name = "stage.measure", .number = job.candidate.id});
  evaluator.Measure(job);
}

void CallFinish(StagedEvaluator& evaluator, EvaluationJob& job) {
  const StageScope scope("finish", job.candidate.id);
  FaultPoint({.name = "stage.finish", .number = job.candidate.id});
  evaluator.Finish(job);
}

// The error that is being handled, as one that says where it came up in this thread.
std::exception_ptr PlacedError() {
  const Activity activity = OwnActivity();
  std::string place = fmt::format("rank {} on {}", OwnRank(), HostName());
  if (activity.candidate_id != kNoCandidate) {
    place += fmt::format(", candidate {}, stage {}", activity.candidate_id, activity.stage);
  }
  try {
    throw;
  } catch (const CommError& error) {  // in the middle of a search a peer is lost; another start finds it again
    return std::make_exception_ptr(LostRankError("{} ({})", error.what(), place));
  } catch (const Error& error) {
    return std::make_exception_ptr(Error(fmt::format("{} ({})", error.what(), place), error.exit_code()));
  } catch (const std::exception& error) {
    return std::make_exception_ptr(Error(fmt::format("{} ({})", FirstLine(error), place), ExitCode::kFailed));
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

Outcome StagedEvaluator::Evaluate(const Candidate& candidate) {
  EvaluationJob job = JobOf(candidate, /*slot=*/0);
  CallPrepare(*this, {&job, 1});
  CallMeasure(*this, job);
  CallFinish(*this, job);
  return std::move(job.outcome);
}

namespace {

void RunOneByOne(StagedEvaluator& evaluator, const PipelineEnds& ends) {
  for (;;) {
    std::vector<Candidate> candidates = ends.next(std::min(evaluator.max_batch(), evaluator.num_slots()));
    if (candidates.empty()) return;
    std::vector<EvaluationJob> jobs;
    for (Candidate& candidate : candidates) {
      const int slot = static_cast<int>(jobs.size());
      jobs.push_back(JobOf(std::move(candidate), slot));
    }
    CallPrepare(evaluator, jobs);
    for (EvaluationJob& job : jobs) {
      CallMeasure(evaluator, job);
      CallFinish(evaluator, job);
      ends.done(std::move(job));
    }
  }
}

class Overlapped {
 public:
  Overlapped(StagedEvaluator& evaluator, const PipelineEnds& ends)
      : evaluator_(evaluator), ends_(ends), free_slots_(Slots()), prepared_(Slots()) {
    for (int slot = 0; slot < evaluator.num_slots(); ++slot) free_slots_.Push(slot);
  }

  void Run() {
    std::thread prepare([&] { Guarded(&Overlapped::PrepareAll); });
    std::thread measure([&] { Guarded(&Overlapped::MeasureAll); });
    Guarded(&Overlapped::FinishAll);
    measure.join();
    prepare.join();
  }

 private:
  std::size_t Slots() const { return static_cast<std::size_t>(evaluator_.num_slots()); }

  void Guarded(void (Overlapped::*stage)()) {
    try {
      evaluator_.EnterThread();
      (this->*stage)();
    } catch (...) {
      ends_.failed(PlacedError());
      free_slots_.Close();
      prepared_.Close();
      measured_.Close();
    }
  }

  // How many candidates share a batch depends on the slots that are free on the leader, so on time: no outcome may
  // depend on it. Other ranks of the group follow the leader and wait for as many slots of their own.
  void PrepareAll() {
    while (const auto first = free_slots_.Pop()) {
      std::vector<int> slots = {*first};
      while (static_cast<int>(slots.size()) < evaluator_.max_batch()) {
        const auto other = free_slots_.TryPop();
        if (!other) break;
        slots.push_back(*other);
      }
      std::vector<Candidate> candidates = ends_.next(static_cast<int>(slots.size()));
      if (candidates.empty()) break;
      std::vector<EvaluationJob> jobs;
      for (Candidate& candidate : candidates) {
        if (jobs.size() == slots.size()) {
          const auto slot = free_slots_.Pop();
          if (!slot) return;
          slots.push_back(*slot);
        }
        jobs.push_back(JobOf(std::move(candidate), slots[jobs.size()]));
      }
      for (std::size_t i = jobs.size(); i < slots.size(); ++i) free_slots_.Push(slots[i]);
      CallPrepare(evaluator_, jobs);
      for (EvaluationJob& job : jobs) prepared_.Push(std::move(job));
    }
    prepared_.Close();
  }

  void MeasureAll() {
    while (auto job = prepared_.Pop()) {
      if (ends_.abandoned && ends_.abandoned()) {
        free_slots_.Push(job->slot);  // PrepareAll may wait for one before it learns of the end
        continue;
      }
      CallMeasure(evaluator_, *job);
      free_slots_.Push(job->slot);
      measured_.Push(std::move(*job));
    }
    measured_.Close();
  }

  void FinishAll() {
    while (auto job = measured_.Pop()) {
      CallFinish(evaluator_, *job);
      ends_.done(std::move(*job));
    }
  }

  StagedEvaluator& evaluator_;
  const PipelineEnds& ends_;
  BlockingQueue<int> free_slots_;
  BlockingQueue<EvaluationJob> prepared_;
  BlockingQueue<EvaluationJob> measured_{1};  // so that a slow Finish bounds the memory of what was measured
};

}  // namespace

void RunPipeline(StagedEvaluator& evaluator, const PipelineEnds& ends, Overlap overlap) {
  if (overlap == Overlap::kOn && evaluator.num_slots() > 1) {
    Overlapped(evaluator, ends).Run();
    return;
  }
  try {
    evaluator.EnterThread();
    RunOneByOne(evaluator, ends);
  } catch (...) {
    ends.failed(PlacedError());
  }
}

}  // namespace lcsc
