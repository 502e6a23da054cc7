// What strategies that draw their candidates again ask of a saved one.
#pragma once

#include "lcsc/search/candidate.h"

namespace lcsc {

// The saved candidate is the truth: another machine's mathematical library may differ in the last bits.
bool IsSameCandidate(const Candidate& expected, const Candidate& saved);
// Throws the InputError for a saved candidate that is another.
[[noreturn]] void RefuseOtherCandidate(std::int64_t id);

}  // namespace lcsc
