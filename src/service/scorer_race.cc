// What Scorer knows of races.
#include <c10/core/InferenceMode.h>

#include "lcsc/base/error.h"
#include "lcsc/search/race.h"
#include "lcsc/service/scorer.h"
#include "reference_set.h"

namespace lcsc {

void Scorer::PrepareRace() {
  const std::int64_t num_batches = (options_.num_samples + options_.batch_size - 1) / options_.batch_size;
  chunks_.clear();
  std::int64_t begin = 0;
  for (const std::int64_t parts : {8, 4, 2, 1}) {
    const std::int64_t end = std::min((num_batches + parts - 1) / parts * options_.batch_size, options_.num_samples);
    if (end > begin) chunks_.push_back({begin, end});
    begin = end;
  }
  if (chunks_.size() == 1) {
    throw ConfigError(
        "search.racing: expected at least 2 batches to look between, found {} samples in one batch of {}; give a "
        "smaller evaluation.batch_size",
        options_.num_samples, options_.batch_size);
  }
  CheckSampleCount(metrics_, chunks_.front().end);
  const SampleRange last = chunks_.back();
  const std::int64_t last_batches = (last.end - last.begin + options_.batch_size - 1) / options_.batch_size;
  if (last_batches < group_.group_size()) {
    throw ConfigError(
        "search.racing: {} samples in batches of {} leave {} batches after the last look, fewer than the {} ranks that "
        "share them; use fewer ranks in a group, a smaller evaluation.batch_size, or more samples",
        options_.num_samples, options_.batch_size, last_batches, group_.group_size());
  }
}

std::unique_ptr<Tally> Scorer::Race(Denoiser& network, const Candidate& candidate, Collective& group,
                                    StageSpans& spans) {
  auto tally = EmptyTally();
  const std::vector<SampleRange> own = OwnBatches();
  for (std::size_t k = 0; k < chunks_.size(); ++k) {
    std::vector<SampleRange> ranges;
    for (const SampleRange range : own) {
      if (range.begin < chunks_[k].begin || range.begin >= chunks_[k].end) continue;
      ranges.push_back(InBlock(range, candidate.noise_block));
    }
    AddDrawn(network, ranges, *tally, spans);
    if (k + 1 == chunks_.size()) break;
    if (!PassesLook(std::span(chunks_).first(k + 1), candidate, *tally, group, spans)) break;
  }
  return tally;
}

bool Scorer::PassesLook(std::span<const SampleRange> chunks, const Candidate& candidate, Tally& tally,
                        Collective& group, StageSpans& spans) {
  const c10::InferenceMode no_gradients;
  Measured measured;
  {
    const StageTimer timer(Stage::kReduce, spans);
    if (!FailureOfAny(tally.failure, group).empty()) return false;
    Tally so_far = tally;
    if (so_far.statistics) so_far.statistics->packed() = so_far.statistics->packed().clone();
    measured = Gather(so_far, chunks, group);
  }
  std::vector<std::byte> verdict(1);  // 0: go on
  if (group.IsLeader()) {
    const StageTimer timer(Stage::kDistance, spans);
    try {
      const std::int64_t num_samples = chunks.back().end;
      const double score = Objective(options_.objective).ValueOf(reference_->Compare(measured));
      tally.looks[LookName(num_samples)] = score;
      const auto bar = candidate.bars.find(num_samples);
      verdict[0] = static_cast<std::byte>(bar != candidate.bars.end() && score > bar->second);
    } catch (const std::exception&) {  // of so few samples there is no score: nothing to race with
    }
  }
  group.BroadcastFromLeader(verdict);
  tally.is_stopped = verdict[0] != std::byte{0};
  return !tally.is_stopped;
}

}  // namespace lcsc
