// Results as tables for people and as JSON for scripts.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lcsc/comm/mpi_session.h"
#include "lcsc/config/evaluation_options.h"
#include "lcsc/model/network.h"
#include "lcsc/search/candidate.h"
#include "lcsc/service/objective.h"
#include "lcsc/service/search_run.h"

namespace lcsc {

// The score, or null.
nlohmann::json ScoreJson(const EvaluatedCandidate* member);

// "noise seed 1, 2000 samples": named wherever a score is printed.
std::string NoiseText(const EvaluationOptions& options);

// What the metrics were measured with and against, as far as they need it: {"protocol", "extractor", "reference",
// "scorer", "conditioning"}, and "_digest" of each file.
nlohmann::json MeasureJson(const EvaluationOptions& options, const MetricSet& metrics);
// The same of the objective's metrics, with "objective" beside it.
nlohmann::json MeasureJson(const EvaluationOptions& options);
// That as lines: "digits extractor F (digest ...)", "reference R (digest ...)".
std::string MeasureText(const EvaluationOptions& options);

// Says on rank 0, once, what is taken for granted of the reference: nothing when its file says how it was made, or no
// metric needs one.
void WarnOfReference(const World& world, const EvaluationOptions& options, const MetricSet& metrics);
// The same of the objective's metrics.
void WarnOfReference(const World& world, const EvaluationOptions& options);

// Throws ConfigError when the network's images are neither gray nor RGB, so that no PNG can show them.
void CheckDrawable(const Denoiser& network, const std::string& option);

// "EMA 0.9987", "last checkpoint" or "candidate 17".
std::string CandidateText(const Candidate& candidate);

// One object of a command's results: a line of JSON, or a table of its keys and values.
void PrintResult(const nlohmann::json& result, bool as_json);

// The final table of a search: the best EMA and the best candidate, with the noise that the scores belong to.
std::string SearchTable(const SearchSummary& summary, const EvaluationOptions& options, const std::string& run);

}  // namespace lcsc
