#include "lcsc/state/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "cbor_check.h"
#include "lcsc/base/atomic_file.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "lcsc/base/fault_point.h"

namespace lcsc {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// In the file's order, little-endian.
struct FileHeader {
  char magic[8] = {'l', 'c', 's', 'c', 'J', 'R', 'N', 'L'};
  std::int64_t version = 1;
  std::int64_t number = 0;
};
struct RecordHeader {
  std::int64_t sequence = 0;       // 0, 1, 2, ... in this journal
  std::int64_t payload_bytes = 0;  // CBOR
};
constexpr std::uintmax_t kMostBytes = std::uintmax_t{4} << 30;  // a search begins a new one long before
constexpr std::size_t kDigestBytes = 32;                        // hexadecimal, of journal number, header and payload
constexpr int kMostLevels = 8;                                  // of CBOR; ours have four

template <typename T>
std::string BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <typename T>
std::optional<T> Take(std::string_view& bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return value;
}

std::string RecordDigest(std::int64_t number, std::string_view header_and_payload) {
  Digest digest;
  digest.Update(BytesOf(number));
  digest.Update(header_and_payload);
  return digest.Hex();
}

json BinaryOf(const std::vector<double>& values) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(values.data());
  return json::binary(std::vector<std::uint8_t>(begin, begin + sizeof(double) * values.size()));
}

std::vector<double> ValuesOf(const json& binary) {
  const std::vector<std::uint8_t>& bytes = binary.get_binary();
  std::vector<double> values(bytes.size() / sizeof(double));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), sizeof(double) * values.size());
  return values;
}

json JsonOf(const Candidate& candidate) {
  json entry = {{"id", candidate.id},
                {"generation", candidate.generation},
                {"parents", candidate.parents},
                {"coefficients", BinaryOf(candidate.coefficients)}};
  if (candidate.ema_rate) entry["ema_rate"] = *candidate.ema_rate;
  if (candidate.seen) entry["seen"] = *candidate.seen;
  if (candidate.noise_block != 0) entry["noise_block"] = candidate.noise_block;
  if (candidate.wants_gradient) entry["wants_gradient"] = true;
  return entry;
}

// Throws json::exception for a real number: it may be outside the range of integers, where no conversion is defined.
std::int64_t IntegerOf(const json& value) { return value.get_ref<const std::int64_t&>(); }

Candidate CandidateOf(const json& entry) {
  Candidate candidate{
      .id = IntegerOf(entry.at("id")), .generation = IntegerOf(entry.at("generation")), .coefficients = {}};
  const json& parents = entry.at("parents");
  candidate.parents = {IntegerOf(parents.at(0)), IntegerOf(parents.at(1))};
  candidate.coefficients = ValuesOf(entry.at("coefficients"));
  if (entry.contains("noise_block")) candidate.noise_block = IntegerOf(entry["noise_block"]);
  candidate.wants_gradient = entry.value("wants_gradient", false);
  if (entry.contains("ema_rate")) candidate.ema_rate = entry["ema_rate"].get<double>();
  if (entry.contains("seen")) candidate.seen = IntegerOf(entry["seen"]);
  return candidate;
}

json JsonOf(const EvaluatedCandidate& member) {
  const Outcome& outcome = member.outcome;
  const StageSeconds& s = outcome.seconds;
  json entry = {{"candidate", JsonOf(member.candidate)},
                {"seconds", {s.merge, s.gather, s.sample, s.features, s.reduce, s.distance, s.backward, s.project}}};
  if (outcome.score) entry["score"] = *outcome.score;
  if (!outcome.failure.empty()) entry["failure"] = outcome.failure;
  if (!outcome.metrics.empty()) entry["metrics"] = outcome.metrics;
  if (!outcome.gradient.empty()) entry["gradient"] = BinaryOf(outcome.gradient);
  return {{"outcome", entry}};
}

EvaluatedCandidate EvaluatedOf(const json& entry) {
  EvaluatedCandidate member{.candidate = CandidateOf(entry.at("candidate")), .outcome = {}};
  auto s = entry.at("seconds").get<std::vector<double>>();
  s.resize(8);  // two fewer where nobody knew gradients
  member.outcome.seconds = {s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]};
  if (entry.contains("score")) member.outcome.score = entry["score"].get<double>();
  member.outcome.failure = entry.value("failure", "");
  if (entry.contains("gradient")) member.outcome.gradient = ValuesOf(entry["gradient"]);
  if (entry.contains("metrics")) member.outcome.metrics = entry["metrics"].get<std::map<std::string, double>>();
  return member;
}

json JsonOfEntry(const JournalEntry& entry) {
  if (const auto* member = std::get_if<EvaluatedCandidate>(&entry)) return JsonOf(*member);
  if (const auto* asked = std::get_if<Candidate>(&entry)) return {{"asked", JsonOf(*asked)}};
  const auto& accusation = std::get<Accusation>(entry);
  return {{"accused", accusation.candidate_id}, {"reason", accusation.reason}};
}

// nullopt: the payload is not one of ours, though its digest is right.
std::optional<JournalEntry> EntryOf(std::string_view payload) {
  if (!IsBoundedCbor(payload, kMostLevels)) return std::nullopt;
  try {
    const json entry = json::from_cbor(payload.begin(), payload.end());
    if (entry.contains("outcome")) {
      EvaluatedCandidate member = EvaluatedOf(entry["outcome"]);
      if (member.outcome.score && !std::isfinite(*member.outcome.score)) return std::nullopt;
      return member;
    }
    if (entry.contains("asked")) return CandidateOf(entry["asked"]);
    return Accusation{IntegerOf(entry.at("accused")), entry.at("reason")};
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

JournalWriter::JournalWriter(const fs::path& path, std::int64_t number)
    : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)), number_(number) {
  if (fd_ < 0) throw IoError("cannot make {}: {}", path.string(), std::strerror(errno));
  FileHeader header;
  header.number = number;
  try {
    Write(BytesOf(header));
    Sync();
    SyncToDisk(path.has_parent_path() ? path.parent_path() : fs::path("."));
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

JournalWriter::~JournalWriter() { ::close(fd_); }

void JournalWriter::Append(const JournalEntry& entry) {
  FaultPoint({.name = "journal.append"});
  const std::vector<std::uint8_t> cbor = json::to_cbor(JsonOfEntry(entry));
  std::string record =
      BytesOf(RecordHeader{.sequence = num_records_, .payload_bytes = static_cast<std::int64_t>(cbor.size())});
  record.append(reinterpret_cast<const char*>(cbor.data()), cbor.size());
  record += RecordDigest(number_, record);
  Write(record);
  ++num_records_;
}

// A write that fails half-way leaves a torn tail, which readers drop; nothing may follow it.
void JournalWriter::Write(const std::string& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t written = ::write(fd_, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      throw IoError("cannot append to {}: {}; free some space and run the same command again: nothing is lost",
                    path_.string(), std::strerror(errno));
    }
    done += static_cast<std::size_t>(written);
  }
  bytes_ += static_cast<std::int64_t>(bytes.size());
  is_dirty_ = true;
}

void JournalWriter::Sync() {
  if (!is_dirty_) return;
  FaultPoint({.name = "journal.sync"});
  if (::fdatasync(fd_) != 0) {
    throw IoError("cannot flush {} to the disk: {}; mend it and run the same command again", path_.string(),
                  std::strerror(errno));
  }
  is_dirty_ = false;
}

JournalContent ReadJournal(const fs::path& path, std::int64_t number) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError("cannot read {}: {}", path.string(), std::strerror(errno));
  const std::uintmax_t size = fs::file_size(path);
  if (size > kMostBytes) {
    throw InputError("{}: expected a journal of at most {} bytes, found {}; put it elsewhere to go on without it",
                     path.string(), kMostBytes, size);
  }
  std::string content(size, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(file.gcount()));
  std::string_view rest = content;
  JournalContent journal;
  const auto header = Take<FileHeader>(rest);
  if (!header) {  // it was cut off while it was made: nothing was in it
    journal.torn_bytes = static_cast<std::int64_t>(content.size());
    return journal;
  }
  FileHeader expected;
  expected.number = number;
  if (std::memcmp(header->magic, expected.magic, sizeof expected.magic) != 0 || header->number != number) {
    throw InputError("{}: expected journal number {}, found another file; put it elsewhere to go on without it",
                     path.string(), number);
  }
  if (header->version != expected.version) {
    throw InputError("{}: expected a journal of version {}, found {}; use the lcsc that wrote it", path.string(),
                     expected.version, header->version);
  }
  for (;;) {
    journal.torn_bytes = static_cast<std::int64_t>(rest.size());
    const std::string_view record = rest;
    const auto head = Take<RecordHeader>(rest);
    if (!head || head->sequence != static_cast<std::int64_t>(journal.entries.size())) break;
    if (head->payload_bytes < 0 || rest.size() < kDigestBytes ||
        static_cast<std::size_t>(head->payload_bytes) > rest.size() - kDigestBytes) {
      break;
    }
    const auto payload_bytes = static_cast<std::size_t>(head->payload_bytes);
    const std::string_view digested = record.substr(0, sizeof(RecordHeader) + payload_bytes);
    if (rest.substr(payload_bytes, kDigestBytes) != RecordDigest(number, digested)) break;
    auto entry = EntryOf(rest.substr(0, payload_bytes));
    if (!entry) break;
    journal.entries.push_back(std::move(*entry));
    rest.remove_prefix(payload_bytes + kDigestBytes);
  }
  return journal;
}

}  // namespace lcsc
