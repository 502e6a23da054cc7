// What makes the scores of a run comparable.
#pragma once

#include "lcsc/config/evaluation_options.h"
#include "lcsc/config/option_set.h"
#include "lcsc/state/run_directory.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

// The identity options of [evaluation] and the contents of the files that scores depend on, whatever the files are
// called.
RunIdentity EvaluationIdentity(const OptionSet& set, const EvaluationOptions& options, const Trajectory& trajectory);

// The identity options of [search] alone.
RunIdentity StrategyIdentity(const OptionSet& set);

// The same with all other identity options: what a search must share with the run that it resumes.
RunIdentity SearchIdentity(const OptionSet& set, const EvaluationOptions& options, const Trajectory& trajectory);

// Throws InputError when the run searched another trajectory.
void CheckSearchedTrajectory(const RunIdentity& run, const Trajectory& trajectory, const std::string& folder);

// Throws ConfigError when a score made under `present` could not stand beside those of the run.
void CheckSameScores(const RunIdentity& run, const RunIdentity& present, const std::string& folder);

}  // namespace lcsc
