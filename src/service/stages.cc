#include "lcsc/service/stages.h"

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

double StageSeconds::*MemberOf(Stage stage) {
  switch (stage) {
    case Stage::kMerge:
      return &StageSeconds::merge;
    case Stage::kGather:
      return &StageSeconds::gather;
    case Stage::kSample:
      return &StageSeconds::sample;
    case Stage::kFeatures:
      return &StageSeconds::features;
    case Stage::kReduce:
      return &StageSeconds::reduce;
    case Stage::kDistance:
      return &StageSeconds::distance;
    case Stage::kBackward:
      return &StageSeconds::backward;
    case Stage::kProject:
      return &StageSeconds::project;
  }
  throw InvariantError("no such stage");
}

}  // namespace

const char* NameOf(Stage stage) {
  constexpr std::array<const char*, kStages.size()> kNames = {"merge",  "gather",   "sample",   "features",
                                                              "reduce", "distance", "backward", "project"};
  return kNames.at(static_cast<std::size_t>(stage));
}

double SecondsOf(Stage stage, const StageSeconds& seconds) { return seconds.*MemberOf(stage); }

StageSeconds SumOf(const StageSpans& spans) {
  StageSeconds seconds;
  for (const StageSpan& span : spans) {
    seconds.*MemberOf(span.stage) += std::chrono::duration<double>(span.end - span.begin).count();
  }
  return seconds;
}

}  // namespace lcsc
