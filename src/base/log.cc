#include "lcsc/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace lcsc {

void InitLog(int world_rank, int world_size, spdlog::level::level_enum level) {
  auto logger = spdlog::stderr_color_mt(fmt::format("lcsc-{}", world_rank));
  const std::string rank_tag = world_size > 1 ? fmt::format(" [rank {}]", world_rank) : "";
  logger->set_pattern(fmt::format("[%H:%M:%S]{} %^%l%$: %v", rank_tag));
  logger->set_level(world_rank == 0 ? level : std::max(level, spdlog::level::warn));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(logger);
}

}  // namespace lcsc
