// How long a search will take and what it will hold: its stages measured for some seconds on this machine, and added
// up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lcsc/config/evaluation_options.h"
#include "lcsc/config/run_options.h"
#include "lcsc/config/search_options.h"
#include "lcsc/service/machine_bench.h"

namespace lcsc {

// One stage of an evaluation by one rank that evaluates alone.
struct StageRate {
  std::string stage;         // merge, sample, features, distance
  double seconds = 0;        // for all the candidate's samples
  double rate = 0;           // in `unit`
  std::string unit;          // "GB/s" read and written, "images/s", "candidates/s"
  double floor_seconds = 0;  // its bytes at the copy's rate, its operations at the convolution's; 0: not known
  // In (0, 1], or above where data fit into a cache; 0: not known.
  double share() const { return floor_seconds / seconds; }
};

struct SearchRates {
  int threads = 1;                       // of the rank
  std::int64_t measured_samples = 0;     // of which sample and features are the multiple
  std::int64_t measured_batch = 0;       // images at once, at most evaluation.batch_size
  std::vector<StageRate> stages;         // in the order in which a candidate passes them
  std::int64_t evaluations = 0;          // of the whole search
  std::int64_t initial_evaluations = 0;  // of them, those before the first generation
  std::int64_t bytes_per_rank = 0;       // measured, with the second network that overlapping stages need
};

// Loads what a rank of the search loads (a group's rank holds its part of the trajectory alone) and takes some 20 s, or
// as long as 16 samples. Uses LibTorch's present number of threads, at which `machine` was measured. Throws what a
// search's set-up throws: InputError, ConfigError; and InputError when the candidate cannot be scored.
SearchRates MeasureSearch(const EvaluationOptions& evaluation, const SearchOptions& search, const RunOptions& run,
                          const MachineRates& machine);

// Seconds of one candidate in a group of so many ranks of their own cores: merge, samples and features are shared out,
// the distance is not; what ranks say to each other is left out. The stages add up although they overlap, for on a
// processor they share its cores.
double CandidateSeconds(const SearchRates& rates, std::int64_t group_size);

// Seconds of the whole search with so many groups at work: a generation of the schedule `generational` ends when its
// last candidate does; a steady-state search keeps all groups busy.
double SearchSeconds(const SearchRates& rates, const SearchOptions& search, double candidate_seconds,
                     std::int64_t num_groups);

}  // namespace lcsc
