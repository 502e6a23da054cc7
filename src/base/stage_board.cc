#include "lcsc/base/stage_board.h"

#include <time.h>

#include <array>
#include <atomic>
#include <exception>

namespace lcsc {
namespace {

// One thread's, which alone writes it. A reader may find an old and a new value side by side, for an instant.
struct alignas(64) Entry {
  std::atomic<bool> is_taken{false};
  std::atomic<std::int64_t> candidate_id{kNoCandidate};
  std::atomic<const char*> stage{nullptr};  // nullptr: idle
  std::atomic<std::int64_t> since_ns{0};
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free && std::atomic<const char*>::is_always_lock_free,
              "signal handlers read the entries");

constexpr std::size_t kMaxThreads = 64;
constinit std::array<Entry, kMaxThreads> g_entries;
constinit std::atomic<std::uint64_t> g_steps{0};
constinit std::atomic<std::int64_t> g_last_step_ns{0};
constinit thread_local Entry* t_entry = nullptr;

std::int64_t NowNs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

// A thread's entry from its first stage to the thread's end. A thread that finds none free goes without.
struct EntryOwner {
  EntryOwner() {
    for (Entry& entry : g_entries) {
      if (entry.is_taken.exchange(true)) continue;
      t_entry = &entry;
      return;
    }
  }
  ~EntryOwner() {
    if (t_entry == nullptr) return;
    t_entry->stage = nullptr;
    t_entry->candidate_id = kNoCandidate;
    t_entry->is_taken = false;
    t_entry = nullptr;
  }
};

void Write(Entry& entry, const StageScope::Saved& saved) {
  entry.candidate_id.store(saved.candidate_id, std::memory_order_relaxed);
  entry.since_ns.store(saved.since_ns, std::memory_order_relaxed);
  entry.stage.store(saved.stage, std::memory_order_release);
}

Entry* OwnEntry() {
  thread_local const EntryOwner owner;
  return t_entry;
}

void CountStep(std::int64_t now_ns) {
  g_last_step_ns.store(now_ns, std::memory_order_relaxed);
  g_steps.fetch_add(1, std::memory_order_relaxed);
}

double SecondsBetween(std::int64_t begin_ns, std::int64_t end_ns) {
  return 1e-9 * static_cast<double>(end_ns - begin_ns);
}

}  // namespace

StageScope::StageScope(const char* stage) : StageScope(stage, t_entry ? t_entry->candidate_id.load() : kNoCandidate) {}

StageScope::StageScope(const char* stage, std::int64_t candidate_id)
    : exceptions_(std::uncaught_exceptions()), before_{} {
  Entry* const entry = OwnEntry();
  if (entry == nullptr) return;
  before_ = {entry->candidate_id, entry->stage, entry->since_ns};
  const std::int64_t now_ns = NowNs();
  Write(*entry, {candidate_id, stage, now_ns});
  CountStep(now_ns);
}

StageScope::~StageScope() {
  if (t_entry == nullptr || std::uncaught_exceptions() > exceptions_) return;
  Write(*t_entry, before_);
  CountStep(NowNs());
}

Activity OwnActivity() {
  const char* const stage = t_entry != nullptr ? t_entry->stage.load() : nullptr;
  if (stage == nullptr) return {};
  return {t_entry->candidate_id, stage, SecondsBetween(t_entry->since_ns, NowNs())};
}

Activity OldestActivity() {
  const std::int64_t now_ns = NowNs();
  Activity oldest{.seconds = SecondsBetween(g_last_step_ns, now_ns)};
  for (const Entry& entry : g_entries) {
    const char* const stage = entry.stage;
    const double seconds = SecondsBetween(entry.since_ns, now_ns);
    if (stage != nullptr && (oldest.stage == kIdleStage || seconds > oldest.seconds)) {
      oldest = {entry.candidate_id, stage, seconds};
    }
  }
  return oldest;
}

bool ThreadHasStages() { return t_entry != nullptr; }

std::uint64_t StageSteps() { return g_steps.load(std::memory_order_relaxed); }

}  // namespace lcsc
