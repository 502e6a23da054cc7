#include "lcsc/base/fault_point.h"

namespace lcsc {
namespace {

std::function<void(const FaultSite&)>& Hook() {
  static std::function<void(const FaultSite&)> hook;
  return hook;
}

}  // namespace

void FaultPoint(const FaultSite& site) {
  if (Hook()) Hook()(site);
}

void SetFaultHook(std::function<void(const FaultSite&)> hook) { Hook() = std::move(hook); }

}  // namespace lcsc
