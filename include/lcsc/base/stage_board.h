// What each thread of this process works on, so that a crash, a hang or an error can be told by candidate and stage.
#pragma once

#include <cstdint>

namespace lcsc {

inline constexpr std::int64_t kNoCandidate = -1;
inline constexpr const char* kIdleStage = "idle";

struct Activity {
  std::int64_t candidate_id = kNoCandidate;
  const char* stage = kIdleStage;
  double seconds = 0;  // in this stage
};

// While it lives, the calling thread is at this stage. It ends with the stage before it; but when an exception passes,
// the thread's entry stays as it is, for whoever catches it. Free of locks and memory; some tens of nanoseconds.
//   stage: a literal.
class StageScope {
 public:
  // Of the candidate that the thread works on, if any.
  explicit StageScope(const char* stage);
  StageScope(const char* stage, std::int64_t candidate_id);
  ~StageScope();
  StageScope(const StageScope&) = delete;
  StageScope& operator=(const StageScope&) = delete;

  // What a thread's entry holds.
  struct Saved {
    std::int64_t candidate_id;
    const char* stage;  // nullptr: idle
    std::int64_t since_ns;
  };

 private:
  int exceptions_;
  Saved before_;
};

// These are for signal handlers too.
// What the calling thread does.
Activity OwnActivity();
// Of all threads at a stage, what the one does that has been at its stage longest; idle, and for how long, when there
// is none.
Activity OldestActivity();
// Whether the calling thread has ever been at a stage: a library's own threads never are.
bool ThreadHasStages();
// How many stages this process has begun and ended: as long as it grows, something moves.
std::uint64_t StageSteps();

}  // namespace lcsc
