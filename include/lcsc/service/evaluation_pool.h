// Where candidates are evaluated: in this process, or by groups of worker ranks.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <map>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "lcsc/base/blocking_queue.h"
#include "lcsc/comm/group.h"
#include "lcsc/comm/message.h"
#include "lcsc/service/pipeline.h"
#include "lcsc/service/rank_watch.h"
#include "lcsc/service/trace.h"

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
  // Share of the groups' time since the first candidate in which they drew and looked at samples, in [0, 1]: what the
  // other stages hide behind.
  virtual double Utilisation() const;
  // The same of all stages together: above 1 where stages ran at the same time.
  double StageShare() const;
  // What each rank that evaluates does, as far as is known.
  virtual std::vector<RankActivity> Activities() const { return {}; }
  // A rank that has stopped answering: what it holds will never come. Call Wait between two calls.
  virtual std::optional<Hang> FindHang() const { return std::nullopt; }
  // Names the ranks that have died, as far as this machine can see; "" when there are none.
  virtual std::string DescribeGone() const { return ""; }
  // Messages with candidates and outcomes that have passed between the master and the groups.
  std::int64_t num_messages() const { return num_messages_; }

 protected:
  void RecordStart();
  void RecordBusy(const Outcome& outcome);
  void RecordMessage() { ++num_messages_; }

 private:
  double GroupSeconds() const;  // since the start, of all groups

  std::optional<std::chrono::steady_clock::time_point> start_;
  double busy_seconds_ = 0;
  std::int64_t num_messages_ = 0;
  double stage_seconds_ = 0;
};

// Evaluates in this process. What a stage throws, the next Wait throws.
class LocalPool : public EvaluationPool {
 public:
  struct Options {
    int queue_depth = 3;
    Overlap overlap = Overlap::kOn;
    Trace* trace = nullptr;
  };
  LocalPool(StagedEvaluator& evaluator, const Options& options);
  // Waits until what is in flight is done; what waits is not begun.
  ~LocalPool() override;
  int num_groups() const override { return 1; }
  bool HasRoom() const override { return in_flight_ < options_.queue_depth; }
  void Submit(const Candidate& candidate) override;
  std::optional<Result> Wait(double timeout_s) override;
  std::vector<RankActivity> Activities() const override;

 private:
  std::vector<Candidate> Next(int max_count);

  Options options_;
  int in_flight_ = 0;
  std::atomic<bool> closing_ = false;
  BlockingQueue<Candidate> queue_;
  BlockingQueue<std::variant<Result, std::exception_ptr>> results_;
  std::thread pipeline_;
};

// The master's side of the groups: each holds up to queue_depth candidates, the one it works on and those that wait, so
// that no group waits for the master.
class GroupPool : public EvaluationPool {
 public:
  struct Options {
    GroupLayout layout;
    int queue_depth = 3;
    Trace* trace = nullptr;
    double hang_timeout_s = 0;        // as WatchdogOptions has it
    double heartbeat_interval_s = 0;  // 0: the groups are served without heartbeats
  };
  explicit GroupPool(const Options& options);
  int num_groups() const override { return options_.layout.num_groups; }
  bool HasRoom() const override;
  void Submit(const Candidate& candidate) override;
  std::optional<Result> Wait(double timeout_s) override;
  std::vector<RankActivity> Activities() const override { return watch_.Activities(); }
  std::optional<Hang> FindHang() const override { return watch_.FindHang(); }
  std::string DescribeGone() const override { return watch_.DescribeGone(); }
  // Tells every group that there is no more work and waits for the good-byes of all ranks. What a group works on is
  // finished and dropped, what waits is not begun. False when a rank did not answer in time.
  bool Close(double timeout_s);

 private:
  int LeastLoadedGroup() const;
  int LeaderOf(int group) const;

  Options options_;
  Mailbox mailbox_;
  RankWatch watch_;
  std::vector<int> in_flight_;                                               // per group
  std::map<std::int64_t, std::chrono::steady_clock::time_point> submitted_;  // by candidate id; for the trace
};

struct ServeOptions {
  Overlap overlap = Overlap::kOn;
  Trace* trace = nullptr;
  double heartbeat_interval_s = 0;  // 0: none. REQUIRES otherwise: threads may call MPI
};
// A worker's side: evaluates what the master sends until it says that there is no more work. `group` is used by this
// function alone. An error of a stage ends all ranks. Collective over the group.
void ServeGroup(Collective& group, StagedEvaluator& evaluator, const ServeOptions& options);

}  // namespace lcsc
