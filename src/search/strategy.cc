#include "lcsc/search/strategy.h"

#include "lcsc/search/descent.h"
#include "lcsc/search/evolution.h"

namespace lcsc {

std::unique_ptr<Strategy> MakeStrategy(const SearchOptions& options, std::vector<std::int64_t> steps) {
  if (WantsGradients(options)) return std::make_unique<Descent>(options, std::move(steps));
  return std::make_unique<Evolution>(options, std::move(steps));
}

bool WantsGradients(const SearchOptions& options) { return options.strategy == "gradient"; }

}  // namespace lcsc
