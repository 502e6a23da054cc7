// A pool whose groups exist on paper: a discrete-event model of master, messages and workers in virtual time.
#pragma once

#include <queue>
#include <set>

#include "lcsc/service/evaluation_pool.h"
#include "lcsc/service/simulated_evaluator.h"

namespace lcsc {

// The real strategy and the real master's loop run over it, thousands of groups wide, as fast as they can think.
//   The master does one thing at a time: half of master_seconds for taking an outcome, half for sending a candidate.
//   A message takes latency_seconds each way. A group evaluates its candidates in the order in which they were sent.
// As GroupPool does, it gives a candidate to the group that holds the fewest, the first of equals.
class ModelPool : public EvaluationPool {
 public:
  struct Options {
    int num_groups = 1;
    int queue_depth = 2;
    double latency_seconds = 0;
    double master_seconds = 0;  // of the master's work per candidate
  };
  // The problem outlives the pool.
  ModelPool(const Options& options, const SimulatedProblem& problem);

  int num_groups() const override { return options_.num_groups; }
  bool HasRoom() const override { return by_load_.begin()->first < options_.queue_depth; }
  void Submit(const Candidate& candidate) override;
  // With timeout 0, only what has arrived by now; with any other, however long it takes.
  std::optional<Result> Wait(double timeout_s) override;
  // In virtual time.
  double Utilisation() const override;
  // Virtual seconds since the start: when the master had done what it was asked to do so far.
  double seconds() const { return master_free_s_; }
  // The share of them in which the master worked.
  double MasterShare() const { return seconds() > 0 ? master_busy_s_ / seconds() : 0; }

 private:
  struct Arrival {
    double at_s;
    std::int64_t sequence;  // of submission: messages that arrive together are taken in this order
    Result result;
    bool operator>(const Arrival& other) const {
      return at_s != other.at_s ? at_s > other.at_s : sequence > other.sequence;
    }
  };
  void MasterWorks(double from_s);

  Options options_;
  const SimulatedProblem& problem_;
  double master_free_s_ = 0, master_busy_s_ = 0, busy_s_ = 0;
  std::int64_t submitted_ = 0;
  std::vector<double> group_free_s_;
  std::set<std::pair<int, int>> by_load_;  // (candidates held, group)
  std::vector<int> load_;
  std::priority_queue<Arrival, std::vector<Arrival>, std::greater<>> arrivals_;
};

}  // namespace lcsc
