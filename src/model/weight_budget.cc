#include "lcsc/model/weight_budget.h"

#include <unistd.h>

#include "lcsc/base/error.h"
#include "lcsc/io/tensor_table.h"

namespace lcsc {
namespace {

thread_local WeightBudget* innermost = nullptr;

}  // namespace

std::int64_t ElementsInMemory() {
  return std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE) / static_cast<std::int64_t>(sizeof(float));
}

WeightBudget::WeightBudget(const WeightLimits& limits) : limits_(limits), left_(limits), outer_(innermost) {
  innermost = this;
}

WeightBudget::~WeightBudget() {
  innermost = outer_;
  if (limits_.memory == WeightMemory::kReal) return;
  for (WeightBudget* budget = outer_; budget != nullptr; budget = budget->outer_) {
    budget->left_.elements += limits_.elements - left_.elements;
    budget->left_.tensors += limits_.tensors - left_.tensors;
  }
}

void SpendWeights(at::IntArrayRef shape) {
  std::int64_t elements = 1;
  bool fits = true;
  for (const std::int64_t size : shape) {
    LCSC_CHECK(size >= 0);
    fits = fits && !__builtin_mul_overflow(elements, size, &elements);
  }
  for (const WeightBudget* budget = innermost; budget != nullptr; budget = budget->outer_) {
    const WeightLimits& left = budget->left_;
    if (!fits || elements > left.elements || left.tensors == 0) {
      throw ConfigError(
          "network JSON: it describes a network that is too large: a tensor of shape {} where {} elements in {} "
          "tensors "
          "are left; check its channels, multipliers and blocks",
          ShapeText(shape.vec()), left.elements, left.tensors);
    }
  }
  for (WeightBudget* budget = innermost; budget != nullptr; budget = budget->outer_) {
    budget->left_.elements -= elements;
    --budget->left_.tensors;
  }
}

bool WeightsHaveMemory() {
  for (const WeightBudget* budget = innermost; budget != nullptr; budget = budget->outer_) {
    if (budget->left_.memory == WeightMemory::kNone) return false;
  }
  return true;
}

}  // namespace lcsc
