#include "lcsc/search/strategy.h"

#include "lcsc/base/error.h"
#include "lcsc/search/cma_es.h"
#include "lcsc/search/descent.h"
#include "lcsc/search/evolution.h"
#include "lcsc/search/hybrid.h"

namespace lcsc {

std::unique_ptr<Strategy> MakeStrategy(const SearchOptions& options, std::vector<std::int64_t> steps) {
  const std::string& name = options.strategy;
  if (options.racing != "off" && name != "evolution" && name != "hybrid") {
    throw ConfigError("search.racing: expected off with search.strategy = {}, whose candidates all matter, found {}",
                      name, options.racing);
  }
  if (options.restriction != "none" && name != "evolution") {
    throw ConfigError("search.restriction: expected none with search.strategy = {}, found {}", name,
                      options.restriction);
  }
  if (name == "gradient") return std::make_unique<Descent>(options, std::move(steps));
  if (name == "hybrid") return std::make_unique<Hybrid>(options, std::move(steps));
  if (name == "cma-es") return std::make_unique<CmaEs>(options, std::move(steps));
  return std::make_unique<Evolution>(options, std::move(steps));
}

bool WantsGradients(const SearchOptions& options) {
  return options.strategy == "gradient" || options.strategy == "hybrid";
}

}  // namespace lcsc
