// Places at which a test makes the program fail. In the program itself nothing happens there.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace lcsc {

struct FaultSite {
  std::string_view name;    // "journal.append", "stage.sample"
  std::int64_t number = 0;  // the candidate's id, where there is one
};

// Calls the hook, if there is one, which may throw, kill the process or not return. Costs a load without one.
void FaultPoint(const FaultSite& site);

// For tests, before other threads start.
void SetFaultHook(std::function<void(const FaultSite&)> hook);

}  // namespace lcsc
