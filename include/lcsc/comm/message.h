// Messages between the master and the groups' leaders, as bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "lcsc/search/candidate.h"

namespace lcsc {

enum class MessageTag : int { kCandidate = 1, kOutcome = 2, kGoodbye = 3, kHeartbeat = 4 };

// A candidate to evaluate, or the end of work (nullopt).
std::vector<std::byte> PackCandidate(const std::optional<Candidate>& candidate);
std::optional<Candidate> UnpackCandidate(std::span<const std::byte> bytes);

// Several messages as one, and apart again. Throws InvariantError when the bytes are not what JoinMessages gave.
std::vector<std::byte> JoinMessages(const std::vector<std::vector<std::byte>>& messages);
std::vector<std::vector<std::byte>> SplitMessages(std::span<const std::byte> bytes);

struct OutcomeMessage {
  std::int64_t candidate_id = 0;
  Outcome outcome;
};
std::vector<std::byte> PackOutcome(const OutcomeMessage& message);
OutcomeMessage UnpackOutcome(std::span<const std::byte> bytes);

// Point-to-point over all ranks. Receiving sleeps between polls, so that an idle rank leaves its core to others.
class Mailbox {
 public:
  static constexpr int kAnyRank = -1;

  Mailbox();
  ~Mailbox();

  struct Received {
    int from_rank;
    std::vector<std::byte> bytes;
  };
  // Starts sending and keeps the bytes until they are gone; never waits for the receiver.
  void Send(int to_rank, MessageTag tag, std::vector<std::byte> bytes);
  // The next message with this tag from `from_rank` (or from anyone: kAnyRank), or nullopt when none came in time.
  std::optional<Received> Receive(int from_rank, MessageTag tag, double timeout_s);
  // Waits until everything sent has left.
  void Flush();

 private:
  struct Pending;
  void DropFinished();
  std::vector<Pending> pending_;
};

}  // namespace lcsc
