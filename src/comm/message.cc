#include "lcsc/comm/message.h"

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "byte_stream.h"
#include "lcsc/base/error.h"
#include "lcsc/comm/mpi_session.h"

namespace lcsc {

std::vector<std::byte> PackCandidate(const std::optional<Candidate>& candidate) {
  ByteWriter writer;
  if (candidate) {
    writer.Put(candidate->id);
    writer.Put(candidate->noise_block);
    writer.Put(candidate->generation);
    writer.Put(candidate->wants_gradient);
    writer.Put(candidate->bars.size());
    for (const auto& [num_samples, bar] : candidate->bars) {
      writer.Put(num_samples);
      writer.Put(bar);
    }
    writer.PutArray(candidate->coefficients.data(), candidate->coefficients.size());
  }
  return writer.Take();
}

std::optional<Candidate> UnpackCandidate(std::span<const std::byte> bytes) {
  if (bytes.empty()) return std::nullopt;
  ByteReader reader(bytes);
  Candidate candidate{.id = reader.Get<std::int64_t>(), .coefficients = {}};
  candidate.noise_block = reader.Get<std::int64_t>();
  candidate.generation = reader.Get<std::int64_t>();
  candidate.wants_gradient = reader.Get<bool>();
  for (auto left = reader.Get<std::size_t>(); left > 0; --left) {
    const auto num_samples = reader.Get<std::int64_t>();
    candidate.bars[num_samples] = reader.Get<double>();
  }
  candidate.coefficients.resize(reader.remaining() / sizeof(double));
  reader.GetArray(candidate.coefficients.data(), candidate.coefficients.size());
  return candidate;
}

std::vector<std::byte> JoinMessages(const std::vector<std::vector<std::byte>>& messages) {
  ByteWriter writer;
  for (const auto& message : messages) {
    writer.Put(message.size());
    writer.PutArray(message.data(), message.size());
  }
  return writer.Take();
}

std::vector<std::vector<std::byte>> SplitMessages(std::span<const std::byte> bytes) {
  std::vector<std::vector<std::byte>> messages;
  for (ByteReader reader(bytes); reader.remaining() > 0;) {
    const auto length = reader.Get<std::size_t>();
    LCSC_CHECK(length <= reader.remaining());
    messages.emplace_back(length);
    reader.GetArray(messages.back().data(), length);
  }
  return messages;
}

std::vector<std::byte> PackOutcome(const OutcomeMessage& message) {
  ByteWriter writer;
  writer.Put(message.candidate_id);
  writer.Put(message.outcome.seconds);
  writer.Put(message.outcome.score.has_value());
  writer.Put(message.outcome.score.value_or(0));
  writer.Put(message.outcome.metrics.size());
  for (const auto& [name, value] : message.outcome.metrics) {
    writer.PutText(name);
    writer.Put(value);
  }
  writer.Put(message.outcome.gradient.size());
  writer.PutArray(message.outcome.gradient.data(), message.outcome.gradient.size());
  writer.PutArray(message.outcome.failure.data(), message.outcome.failure.size());
  return writer.Take();
}

OutcomeMessage UnpackOutcome(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  OutcomeMessage message{.candidate_id = reader.Get<std::int64_t>(), .outcome = {}};
  message.outcome.seconds = reader.Get<StageSeconds>();
  const bool has_score = reader.Get<bool>();
  const auto score = reader.Get<double>();
  if (has_score) message.outcome.score = score;
  for (auto left = reader.Get<std::size_t>(); left > 0; --left) {
    const std::string name = reader.GetText();
    message.outcome.metrics[name] = reader.Get<double>();
  }
  message.outcome.gradient.resize(reader.Get<std::size_t>());
  reader.GetArray(message.outcome.gradient.data(), message.outcome.gradient.size());
  message.outcome.failure.resize(reader.remaining());
  reader.GetArray(message.outcome.failure.data(), message.outcome.failure.size());
  return message;
}

struct Mailbox::Pending {
  MPI_Request request = MPI_REQUEST_NULL;
  std::unique_ptr<std::vector<std::byte>> bytes;
};

Mailbox::Mailbox() = default;
Mailbox::~Mailbox() = default;

void Mailbox::Send(int to_rank, MessageTag tag, std::vector<std::byte> bytes) {
  DropFinished();
  pending_.push_back({.bytes = std::make_unique<std::vector<std::byte>>(std::move(bytes))});
  Pending& message = pending_.back();
  LCSC_MPI_CHECK(MPI_Isend(message.bytes->data(), static_cast<int>(message.bytes->size()), MPI_BYTE, to_rank,
                           static_cast<int>(tag), MPI_COMM_WORLD, &message.request));
}

void Mailbox::DropFinished() {
  std::erase_if(pending_, [](Pending& message) {
    int done = 0;
    LCSC_MPI_CHECK(MPI_Test(&message.request, &done, MPI_STATUS_IGNORE));
    return done != 0;
  });
}

std::optional<Mailbox::Received> Mailbox::Receive(int from_rank, MessageTag tag, double timeout_s) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto deadline = start + std::chrono::duration<double>(timeout_s);
  const int source = from_rank == kAnyRank ? MPI_ANY_SOURCE : from_rank;
  for (;;) {
    int present = 0;
    MPI_Status status;
    LCSC_MPI_CHECK(MPI_Iprobe(source, static_cast<int>(tag), MPI_COMM_WORLD, &present, &status));
    if (present != 0) {
      int size = 0;
      LCSC_MPI_CHECK(MPI_Get_count(&status, MPI_BYTE, &size));
      Received received{status.MPI_SOURCE, std::vector<std::byte>(static_cast<std::size_t>(size))};
      LCSC_MPI_CHECK(MPI_Recv(received.bytes.data(), size, MPI_BYTE, status.MPI_SOURCE, static_cast<int>(tag),
                              MPI_COMM_WORLD, MPI_STATUS_IGNORE));
      return received;
    }
    const auto now = Clock::now();
    if (now >= deadline) return std::nullopt;
    // A message is late by at most a quarter of what was waited for it, and who waits long costs next to nothing.
    constexpr Clock::duration kShortest = std::chrono::microseconds(20), kLongest = std::chrono::milliseconds(4);
    std::this_thread::sleep_for(std::clamp((now - start) / 4, kShortest, kLongest));
  }
}

void Mailbox::Flush() {
  for (Pending& message : pending_) WaitPolitely(&message.request);
  pending_.clear();
}

}  // namespace lcsc
