// Racing: a candidate that cannot win any more is not evaluated to its end.
//
// A candidate's samples are looked at several times while they are drawn, after an eighth, a quarter and a half of them
// (service/scorer.h). All candidates have the same noise, so the score of all samples is nearly a linear function of
// the score of the first m: those who were evaluated whole, the witnesses, tell which and how nearly.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lcsc/search/candidate.h"

namespace lcsc {

// The name under which an outcome's metrics have the score of its first samples, and the samples of such a name
// (0: it is another metric's).
std::string LookName(std::int64_t num_samples);
std::int64_t SamplesOfLook(const std::string& metric);

// Whether the race ended it: no score, and nothing that went wrong.
bool IsStopped(const Outcome& outcome);
// How many samples were drawn for it. num_samples: of a whole evaluation.
std::int64_t SamplesDrawn(const Outcome& outcome, std::int64_t num_samples);

using Witnesses = std::vector<const EvaluatedCandidate*>;  // with scores

// For each look (by its number of samples), the highest score with which a candidate goes on, so that one that would
// have got a score of at most `target` is stopped with a probability of at most `risk` by all looks together: the
// lowest x whose prediction interval (Student's, of simple linear regression on n witnesses, one-sided at
// 1 - risk / looks) lies above the target,
//   y(x) - t s sqrt(1 + 1 / n + (x - mean)^2 / S_xx) >= target,   t of n - 2 degrees, S_xx = sum (x_i - mean)^2.
// None where fewer than five witnesses have that look, or their scores do not follow it.
std::map<std::int64_t, double> RaceBars(const Witnesses& witnesses, double target, double risk);

// What y(x) makes of a stopped candidate's last look; nullopt where no bar could have stopped it.
std::optional<double> EstimatedScore(const Outcome& stopped, const Witnesses& witnesses);

}  // namespace lcsc
