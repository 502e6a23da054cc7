#include "lcsc/service/evaluation_pool.h"

#include <algorithm>

#include "lcsc/base/error.h"

namespace lcsc {

void EvaluationPool::RecordStart() {
  if (!start_) start_ = std::chrono::steady_clock::now();
}

double EvaluationPool::Utilisation() const {
  if (!start_) return 0;
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - *start_).count();
  return elapsed > 0 ? std::min(1.0, busy_seconds_ / (elapsed * num_groups())) : 0;
}

void LocalPool::Submit(const Candidate& candidate) {
  LCSC_CHECK(HasRoom());
  RecordStart();
  queue_.push_back(candidate);
}

std::optional<EvaluationPool::Result> LocalPool::Wait(double) {
  if (queue_.empty()) return std::nullopt;
  const Candidate candidate = std::move(queue_.front());
  queue_.pop_front();
  Result result{.candidate_id = candidate.id, .group = 0, .outcome = evaluator_.Evaluate(candidate)};
  RecordBusy(result.outcome.seconds.total());
  return result;
}

GroupPool::GroupPool(const Options& options)
    : options_(options), in_flight_(static_cast<std::size_t>(options.layout.num_groups)) {}

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
  RecordMessage();
  mailbox_.Send(options_.layout.LeaderOf(group), MessageTag::kCandidate, PackCandidate(candidate));
}

std::optional<EvaluationPool::Result> GroupPool::Wait(double timeout_s) {
  const auto received = mailbox_.Receive(Mailbox::kAnyRank, MessageTag::kOutcome, timeout_s);
  if (!received) return std::nullopt;
  RecordMessage();
  OutcomeMessage message = UnpackOutcome(received->bytes);
  const int group = (received->from_rank - 1) / options_.layout.group_size;
  --in_flight_[static_cast<std::size_t>(group)];
  RecordBusy(message.outcome.seconds.total());
  return Result{.candidate_id = message.candidate_id, .group = group, .outcome = std::move(message.outcome)};
}

bool GroupPool::Close(double timeout_s) {
  for (int group = 0; group < options_.layout.num_groups; ++group) {
    mailbox_.Send(options_.layout.LeaderOf(group), MessageTag::kCandidate, PackCandidate(std::nullopt));
  }
  for (int group = 0; group < options_.layout.num_groups; ++group) {
    if (!mailbox_.Receive(options_.layout.LeaderOf(group), MessageTag::kGoodbye, timeout_s)) return false;
  }
  while (mailbox_.Receive(Mailbox::kAnyRank, MessageTag::kOutcome, 0)) {
  }
  mailbox_.Flush();
  return true;
}

namespace {

constexpr int kMaster = 0;

// The leader's queue of work: what the master has sent and the group has not begun.
class Inbox {
 public:
  // The next candidate's bytes, or empty bytes once the master has said that there is no more work.
  std::vector<std::byte> Next(Mailbox& mailbox) {
    constexpr double kPollSeconds = 3600;
    do {
      while (auto received = mailbox.Receive(kMaster, MessageTag::kCandidate, queue_.empty() ? kPollSeconds : 0)) {
        if (received->bytes.empty()) return {};
        queue_.push_back(std::move(received->bytes));
      }
    } while (queue_.empty());
    std::vector<std::byte> bytes = std::move(queue_.front());
    queue_.pop_front();
    return bytes;
  }

 private:
  std::deque<std::vector<std::byte>> queue_;
};

}  // namespace

void ServeGroup(Collective& group, Evaluator& evaluator) {
  Mailbox mailbox;
  Inbox inbox;
  for (;;) {
    std::vector<std::byte> bytes;
    if (group.IsLeader()) bytes = inbox.Next(mailbox);
    group.BroadcastFromLeader(bytes);
    const auto candidate = UnpackCandidate(bytes);
    if (!candidate) break;
    const Outcome outcome = evaluator.Evaluate(*candidate);
    if (group.IsLeader()) mailbox.Send(kMaster, MessageTag::kOutcome, PackOutcome({candidate->id, outcome}));
  }
  if (group.IsLeader()) mailbox.Send(kMaster, MessageTag::kGoodbye, {});
  mailbox.Flush();
}

}  // namespace lcsc
