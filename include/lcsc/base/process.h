// Which process this is, for its messages.
#pragma once

#include <string>

namespace lcsc {

// This machine's name, "" when it has none.
const std::string& HostName();

// This process's rank among those of its job; 0 until it is set. StartMpi sets it.
int OwnRank();
void SetOwnRank(int world_rank);

}  // namespace lcsc
