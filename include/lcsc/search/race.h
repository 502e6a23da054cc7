// Racing: a candidate that cannot become a parent any more is not evaluated to its end.
//
// A candidate's samples are looked at several times while they are drawn, after an eighth, a quarter and a half of them
// (service/scorer.h). All candidates have the same noise, so the difference between the score of the first m samples
// and that of all, full - partial_m, is nearly the same for all of them: the incumbents tell its mean and its spread.
#pragma once

#include <map>
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

// For each look (by its number of samples), the highest score with which a candidate goes on, so that one that would
// have got a score of at most `target` is stopped with a probability of at most `risk` by all looks together: with
// e = full - partial of n witnesses, mean and standard deviation m and s,
//   target - m + t s sqrt(1 + 1 / n),   t: the quantile 1 - risk / looks of Student's distribution with n - 1 degrees.
// Witnesses are candidates with scores, evaluated whole. None where fewer than five of them have that look.
std::map<std::int64_t, double> RaceBars(const std::vector<const EvaluatedCandidate*>& witnesses, double target,
                                        double risk);

}  // namespace lcsc
