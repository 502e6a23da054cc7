// Bounds what networks ask for while they are built: a network JSON with absurd sizes is refused before memory is asked
// for it. Every layer spends from the budgets of the thread that builds it.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace lcsc {

enum class WeightMemory {
  kReal,
  kNone,  // tensors of the meta device: shapes without numbers, to count what a JSON describes
};

struct WeightLimits {
  std::int64_t elements = 0;      // of all weights together, in float32
  std::int64_t tensors = 20'000;  // the field's largest networks have some 2000
  WeightMemory memory = WeightMemory::kReal;
};

// As many elements as the machine's memory holds: a network beyond them cannot run here.
std::int64_t ElementsInMemory();

// In force until it is destroyed, together with those that were there before: the tightest limit counts. What is spent
// without memory is given back in the end.
class WeightBudget {
 public:
  explicit WeightBudget(const WeightLimits& limits);
  ~WeightBudget();
  WeightBudget(const WeightBudget&) = delete;
  WeightBudget& operator=(const WeightBudget&) = delete;

 private:
  friend void SpendWeights(at::IntArrayRef shape);
  friend bool WeightsHaveMemory();

  const WeightLimits limits_;
  WeightLimits left_;
  WeightBudget* const outer_;
};

// Throws ConfigError when a tensor of this shape is beyond what is left. REQUIRES: no size is negative.
void SpendWeights(at::IntArrayRef shape);
// False when a budget in force says kNone.
bool WeightsHaveMemory();

// A new weight: what draw() returns, which must be float32 of this shape.
template <typename Draw>
at::Tensor NewWeight(at::IntArrayRef shape, Draw&& draw) {
  SpendWeights(shape);
  return WeightsHaveMemory() ? draw() : at::empty(shape, at::device(at::kMeta).dtype(at::kFloat));
}

}  // namespace lcsc
