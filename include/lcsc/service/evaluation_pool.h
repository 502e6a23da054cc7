// Where candidates are evaluated: in this process, or by groups of worker ranks.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <vector>

#include "lcsc/comm/group.h"
#include "lcsc/comm/message.h"
#include "lcsc/search/strategy.h"

namespace lcsc {

class EvaluationPool {
 public:
  struct Result {
    std::int64_t candidate_id = 0;
    int group = 0;
    Outcome outcome;
  };

  virtual ~EvaluationPool() = default;
  virtual int num_groups() const = 0;
  // Whether another candidate may be submitted now.
  virtual bool HasRoom() const = 0;
  // REQUIRES: HasRoom().
  virtual void Submit(const Candidate& candidate) = 0;
  // The next outcome, in whatever order they come; nullopt when none came in time or nothing is in flight.
  virtual std::optional<Result> Wait(double timeout_s) = 0;
  // Share of the groups' time since the first candidate that was spent evaluating, in [0, 1].
  virtual double Utilisation() const;
  // Messages that have passed between the master and the groups.
  std::int64_t num_messages() const { return num_messages_; }

 protected:
  void RecordStart();
  void RecordBusy(double seconds) { busy_seconds_ += seconds; }
  void RecordMessage() { ++num_messages_; }

 private:
  std::optional<std::chrono::steady_clock::time_point> start_;
  double busy_seconds_ = 0;
  std::int64_t num_messages_ = 0;
};

// Evaluates in the calling thread, one candidate per Wait.
class LocalPool : public EvaluationPool {
 public:
  explicit LocalPool(Evaluator& evaluator) : evaluator_(evaluator) {}
  int num_groups() const override { return 1; }
  bool HasRoom() const override { return queue_.empty(); }
  void Submit(const Candidate& candidate) override;
  std::optional<Result> Wait(double timeout_s) override;

 private:
  Evaluator& evaluator_;
  std::deque<Candidate> queue_;
};

// The master's side of the groups: each holds up to queue_depth candidates, the one it works on and those that wait, so
// that no group waits for the master.
class GroupPool : public EvaluationPool {
 public:
  struct Options {
    GroupLayout layout;
    int queue_depth = 2;
  };
  explicit GroupPool(const Options& options);
  int num_groups() const override { return options_.layout.num_groups; }
  bool HasRoom() const override;
  void Submit(const Candidate& candidate) override;
  std::optional<Result> Wait(double timeout_s) override;
  // Tells every group that there is no more work and waits for their good-byes. What a group works on is finished and
  // dropped, what waits is not begun. False when a group did not answer in time.
  bool Close(double timeout_s);

 private:
  int LeastLoadedGroup() const;

  Options options_;
  Mailbox mailbox_;
  std::vector<int> in_flight_;  // per group
};

// A worker's side: evaluates what the master sends until it says that there is no more work. Collective over the group.
void ServeGroup(Collective& group, Evaluator& evaluator);

}  // namespace lcsc
