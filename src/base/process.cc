#include "lcsc/base/process.h"

#include <unistd.h>

#include <array>
#include <atomic>

namespace lcsc {
namespace {

std::atomic<int> g_world_rank{0};

std::string AskHostName() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

const std::string& HostName() {
  static const std::string name = AskHostName();
  return name;
}

int OwnRank() { return g_world_rank.load(); }

void SetOwnRank(int world_rank) { g_world_rank.store(world_rank); }

}  // namespace lcsc
