// baselines.json of a run directory: what `lcsc baselines` found there last.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lcsc/search/coefficients.h"

namespace lcsc {

struct Baselines {
  struct Noise {
    std::int64_t seed = 0, num_samples = 0;
  };
  struct Row {
    std::string weights, which;
    Coefficients coefficients;
    std::optional<double> search, held_out;     // scores; none where the evaluation failed
    std::vector<std::optional<double>> audits;  // on the held-out noise, under each of the extractors
  };
  Noise search_noise, held_out_noise;
  std::vector<std::string> audit_extractors;  // files
  std::vector<Row> rows;
  std::vector<Row> curve;  // others of the search's candidates, each its best for a while
};

// nullopt: there is none. Throws InputError when it is damaged.
std::optional<Baselines> ReadBaselines(const std::filesystem::path& folder);

}  // namespace lcsc
