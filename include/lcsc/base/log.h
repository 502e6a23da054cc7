// The program's log: spdlog on stderr, every line tagged with the rank that wrote it.
#pragma once

#include <spdlog/spdlog.h>

namespace lcsc {

// Sets the pattern "[time] [rank N] [level] message" (no rank tag when world_size is 1). Rank 0 logs from `level` on;
// other ranks log warnings and errors only, so that N ranks do not say the same thing N times.
void InitLog(int world_rank, int world_size, spdlog::level::level_enum level = spdlog::level::info);

}  // namespace lcsc
