// A quick look for numbers that do not belong into a trajectory.
#pragma once

#include <optional>
#include <span>

namespace lcsc {

// The position of the first element whose magnitude is not below `limit` > 0; NaN never is. At the speed of memory.
std::optional<std::size_t> FirstNotBelow(std::span<const float> values, float limit);

}  // namespace lcsc
