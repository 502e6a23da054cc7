// The sections of the page that `lcsc report` writes.
#pragma once

#include <optional>
#include <string>

#include "app/report_facts.h"
#include "app/report_images.h"
#include "lcsc/report/html.h"

namespace lcsc {

// The drawn pairs, or why there are none.
struct SampleSheet {
  std::optional<ImagePairs> pairs;
  std::int64_t seed = 0;  // of their noise
  std::string reason;     // then: a sentence
};

// "FID, search noise (noise seed 1, 2000 samples)": what the search's scores are.
std::string SearchNoiseText(const ReportFacts& facts);

PageSection SummarySection(const ReportFacts& facts);
PageSection ConvergenceSection(const ReportFacts& facts);
PageSection CoefficientsSection(const ReportFacts& facts);
PageSection StagesSection(const ReportFacts& facts);
PageSection BaselinesSection(const ReportFacts& facts);
PageSection SamplesSection(const ReportFacts& facts, const SampleSheet& sheet);
// REQUIRES: there is a landscape.
PageSection LandscapeSection(const LandscapeFacts& landscape);
PageSection ProvenanceSection(const ReportFacts& facts);

}  // namespace lcsc
