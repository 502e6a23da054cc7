#include "lcsc/service/evaluation_pool.h"

#include <algorithm>
#include <deque>

#include "lcsc/base/error.h"
#include "lcsc/base/process.h"

namespace lcsc {
namespace {

constexpr int kMaster = 0;

}  // namespace

void EvaluationPool::RecordStart() {
  if (!start_) start_ = std::chrono::steady_clock::now();
}

void EvaluationPool::RecordBusy(const Outcome& outcome) {
  busy_seconds_ += outcome.seconds.measuring();
  stage_seconds_ += outcome.seconds.total();
}

double EvaluationPool::GroupSeconds() const {
  if (!start_) return 0;
  return num_groups() * std::chrono::duration<double>(std::chrono::steady_clock::now() - *start_).count();
}

double EvaluationPool::Utilisation() const {
  const double seconds = GroupSeconds();
  return seconds > 0 ? std::min(1.0, busy_seconds_ / seconds) : 0;
}

double EvaluationPool::StageShare() const {
  const double seconds = GroupSeconds();
  return seconds > 0 ? stage_seconds_ / seconds : 0;
}

LocalPool::LocalPool(StagedEvaluator& evaluator, const Options& options)
    : options_(options),
      queue_(static_cast<std::size_t>(options.queue_depth)),
      results_(static_cast<std::size_t>(options.queue_depth) + 1) {
  pipeline_ = std::thread([this, &evaluator] {
    RunPipeline(evaluator,
                {.next = [this](int max_count) { return Next(max_count); },
                 .done =
                     [this](EvaluationJob job) {
                       if (options_.trace != nullptr) options_.trace->Add(job);
                       results_.Push(Result{job.candidate.id, /*group=*/0, std::move(job.outcome)});
                     },
                 .abandoned = [this] { return closing_.load(); },
                 .failed = [this](const std::exception_ptr& error) { results_.Push(error); }},
                options_.overlap);
  });
}

LocalPool::~LocalPool() {
  closing_ = true;
  queue_.Close();
  results_.Close();
  pipeline_.join();
}

std::vector<Candidate> LocalPool::Next(int max_count) {
  std::vector<Candidate> candidates;
  auto candidate = queue_.Pop();
  while (candidate && !closing_) {
    candidates.push_back(std::move(*candidate));
    if (static_cast<int>(candidates.size()) == max_count) break;
    candidate = queue_.TryPop();
  }
  return closing_ ? std::vector<Candidate>() : candidates;
}

void LocalPool::Submit(const Candidate& candidate) {
  LCSC_CHECK(HasRoom());
  RecordStart();
  ++in_flight_;
  queue_.Push(candidate);
}

std::optional<EvaluationPool::Result> LocalPool::Wait(double timeout_s) {
  if (in_flight_ == 0) return std::nullopt;
  auto result = results_.PopWithin(std::chrono::duration<double>(timeout_s));
  if (!result) return std::nullopt;
  if (const auto* error = std::get_if<std::exception_ptr>(&*result)) std::rethrow_exception(*error);
  --in_flight_;
  RecordBusy(std::get<Result>(*result).outcome);
  return std::get<Result>(std::move(*result));
}

std::vector<RankActivity> LocalPool::Activities() const {
  const Heartbeat own = OwnHeartbeat();
  RankActivity activity{.world_rank = OwnRank(),
                        .host = own.host,
                        .pid = own.pid,
                        .candidate_id = {},
                        .stage = own.stage,
                        .stage_seconds = own.stage_seconds};
  if (own.candidate_id != kNoCandidate) activity.candidate_id = own.candidate_id;
  return {activity};
}

GroupPool::GroupPool(const Options& options)
    : options_(options),
      watch_({.layout = options.layout,
              .hang_timeout_s = options.hang_timeout_s,
              .heartbeat_interval_s = options.heartbeat_interval_s}),
      in_flight_(static_cast<std::size_t>(options.layout.num_groups)) {}

int GroupPool::LeaderOf(int group) const { return options_.layout.leaders.at(static_cast<std::size_t>(group)); }

int GroupPool::LeastLoadedGroup() const {
  return static_cast<int>(std::min_element(in_flight_.begin(), in_flight_.end()) - in_flight_.begin());
}

bool GroupPool::HasRoom() const {
  return in_flight_[static_cast<std::size_t>(LeastLoadedGroup())] < options_.queue_depth;
}

void GroupPool::Submit(const Candidate& candidate) {
  LCSC_CHECK(HasRoom());
  RecordStart();
  const int group = LeastLoadedGroup();
  ++in_flight_[static_cast<std::size_t>(group)];
  watch_.Submitted(group, candidate.id);
  RecordMessage();
  if (options_.trace != nullptr) submitted_[candidate.id] = std::chrono::steady_clock::now();
  mailbox_.Send(LeaderOf(group), MessageTag::kCandidate, PackCandidate(candidate));
}

std::optional<EvaluationPool::Result> GroupPool::Wait(double timeout_s) {
  watch_.Listen(mailbox_);
  const auto received = mailbox_.Receive(Mailbox::kAnyRank, MessageTag::kOutcome, timeout_s);
  if (!received) return std::nullopt;
  RecordMessage();
  OutcomeMessage message = UnpackOutcome(received->bytes);
  const int group = options_.layout.group_of.at(static_cast<std::size_t>(received->from_rank));
  --in_flight_[static_cast<std::size_t>(group)];
  watch_.Answered(group, message.candidate_id);
  RecordBusy(message.outcome);
  if (options_.trace != nullptr)
    options_.trace->AddInFlight({message.candidate_id, submitted_.at(message.candidate_id)});
  return Result{.candidate_id = message.candidate_id, .group = group, .outcome = std::move(message.outcome)};
}

bool GroupPool::Close(double timeout_s) {
  for (int group = 0; group < options_.layout.num_groups; ++group) {
    mailbox_.Send(LeaderOf(group), MessageTag::kCandidate, PackCandidate(std::nullopt));
  }
  const int num_ranks = static_cast<int>(options_.layout.group_of.size());
  for (int world_rank = kMaster + 1; world_rank < num_ranks; ++world_rank) {
    if (!mailbox_.Receive(world_rank, MessageTag::kGoodbye, timeout_s)) return false;
  }
  // A rank's good-bye is the last that comes from it.
  for (const MessageTag tag : {MessageTag::kOutcome, MessageTag::kHeartbeat}) {
    while (mailbox_.Receive(Mailbox::kAnyRank, tag, 0)) {
    }
  }
  mailbox_.Flush();
  return true;
}

namespace {

// The leader's queue of work: what the master has sent and the group has not begun.
class Inbox {
 public:
  // The next candidates, packed, at least one; or none once the master has said that there is no more work.
  std::vector<std::byte> Next(int max_count) {
    constexpr double kPollSeconds = 3600;
    do {
      while (auto received = mailbox_.Receive(kMaster, MessageTag::kCandidate, queue_.empty() ? kPollSeconds : 0)) {
        if (received->bytes.empty()) return {};
        queue_.push_back(std::move(received->bytes));
      }
    } while (queue_.empty());
    std::vector<std::vector<std::byte>> first;
    while (!queue_.empty() && static_cast<int>(first.size()) < max_count) {
      first.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    return JoinMessages(first);
  }

 private:
  Mailbox mailbox_;
  std::deque<std::vector<std::byte>> queue_;
};

}  // namespace

void ServeGroup(Collective& group, StagedEvaluator& evaluator, const ServeOptions& options) {
  Inbox inbox;
  Mailbox outbox;
  std::optional<HeartbeatSender> heartbeats;
  if (options.heartbeat_interval_s > 0) heartbeats.emplace(options.heartbeat_interval_s);
  const auto next = [&](int max_count) {
    std::vector<std::byte> bytes;
    if (group.IsLeader()) bytes = inbox.Next(max_count);
    group.BroadcastFromLeader(bytes);
    std::vector<Candidate> candidates;
    for (const auto& message : SplitMessages(bytes)) candidates.push_back(*UnpackCandidate(message));
    return candidates;
  };
  const auto done = [&](EvaluationJob job) {
    if (options.trace != nullptr) options.trace->Add(job);
    if (group.IsLeader()) outbox.Send(kMaster, MessageTag::kOutcome, PackOutcome({job.candidate.id, job.outcome}));
  };
  RunPipeline(evaluator, {.next = next, .done = done, .abandoned = {}, .failed = AbortWith}, options.overlap);
  heartbeats.reset();
  outbox.Send(kMaster, MessageTag::kGoodbye, {});
  outbox.Flush();
}

}  // namespace lcsc
