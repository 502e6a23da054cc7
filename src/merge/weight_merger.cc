#include "lcsc/merge/weight_merger.h"

#include "lcsc/base/error.h"
#include "lcsc/merge/merger.h"
#include "lora_merger.h"

namespace lcsc {
namespace {

// Full checkpoints: every rank has a range of the same length.
class FullMerger : public WeightMerger {
 public:
  FullMerger(const Trajectory& trajectory, const GroupPlace& place) : carried_(trajectory.carried) {
    table_ = trajectory.table;
    const std::int64_t total = table_.num_elements(), size = place.group_size;
    for (std::int64_t begin = 0, i = 0; i < size; ++i) {
      const std::int64_t end = begin + total / size + (i < total % size ? 1 : 0);
      parts_.push_back({begin, end});
      begin = end;
    }
    own_ = parts_.at(static_cast<std::size_t>(place.group_rank));
    merger_ = std::make_unique<Merger>(ReadShard(trajectory, own_));
  }

  NamedTensors ReadCarried() const override { return carried_; }

  void MergeBatch(std::span<const std::span<const double>> coefficients,
                  std::span<const std::span<float>> wholes) const override {
    std::vector<std::span<float>> own_parts;
    for (const std::span<float> whole : wholes) {
      LCSC_CHECK(static_cast<std::int64_t>(whole.size()) == table_.num_elements());
      own_parts.push_back(whole.subspan(static_cast<std::size_t>(own_.begin), static_cast<std::size_t>(own_.size())));
    }
    merger_->MergeBatch(coefficients, own_parts);
  }

 private:
  NamedTensors carried_;
  ParameterRange own_;
  std::unique_ptr<Merger> merger_;
};

}  // namespace

std::unique_ptr<WeightMerger> MakeWeightMerger(const Trajectory& trajectory, const GroupPlace& place) {
  if (trajectory.lora) return std::make_unique<LoraMerger>(trajectory, place);
  return std::make_unique<FullMerger>(trajectory, place);
}

}  // namespace lcsc
