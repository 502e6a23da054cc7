// What every rank did when, on one time line: Chrome's trace event format (chrome://tracing, ui.perfetto.dev).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lcsc/comm/mpi_session.h"
#include "lcsc/service/staged_evaluator.h"

namespace lcsc {

// One rank's part. Times are microseconds since the making of rank 0's, by the system's clocks: nodes agree as well as
// those do.
class Trace {
 public:
  // Collective over all ranks.
  explicit Trace(const World& world);

  // Each span in the row of its pipeline stage, with the candidate's id.
  void Add(const EvaluationJob& job);

  struct InFlight {
    std::int64_t id;
    std::chrono::steady_clock::time_point submitted;
  };
  // The master's: a candidate whose outcome has come.
  void AddInFlight(const InFlight& candidate);

  // Rank 0 writes all ranks' events into `path`, published whole. Collective over all ranks. Throws IoError.
  void Write(const World& world, const std::string& path) const;

 private:
  double TimeOf(std::chrono::steady_clock::time_point time) const;

  int world_rank_;
  double offset_us_;    // from the steady clock to the trace's
  std::string events_;  // JSON objects, each with a comma before it
};

}  // namespace lcsc
