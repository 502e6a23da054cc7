// The stages of an evaluation, and how long each took.
#pragma once

#include <array>
#include <chrono>
#include <vector>

#include "lcsc/base/stage_board.h"
#include "lcsc/search/candidate.h"

namespace lcsc {

enum class Stage { kMerge, kGather, kSample, kFeatures, kReduce, kDistance, kBackward, kProject };
constexpr std::array<Stage, 8> kStages = {Stage::kMerge,  Stage::kGather,   Stage::kSample,   Stage::kFeatures,
                                          Stage::kReduce, Stage::kDistance, Stage::kBackward, Stage::kProject};

const char* NameOf(Stage stage);
// The seconds of one stage.
double SecondsOf(Stage stage, const StageSeconds& seconds);

struct StageSpan {
  Stage stage = Stage::kMerge;
  std::chrono::steady_clock::time_point begin, end;
};
using StageSpans = std::vector<StageSpan>;
StageSeconds SumOf(const StageSpans& spans);

// Adds the span from its making to its end, in which the thread is at this stage.
class StageTimer {
 public:
  StageTimer(Stage stage, StageSpans& spans)
      : scope_(NameOf(stage)), spans_(spans), span_{stage, std::chrono::steady_clock::now(), {}} {}
  ~StageTimer() {
    span_.end = std::chrono::steady_clock::now();
    spans_.push_back(span_);
  }
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  StageScope scope_;
  StageSpans& spans_;
  StageSpan span_;
};

}  // namespace lcsc
