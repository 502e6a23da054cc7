#include "app/baselines_file.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "lcsc/base/error.h"

namespace lcsc {
namespace fs = std::filesystem;
namespace {

Baselines::Noise NoiseOf(const nlohmann::json& object) {
  return {object.at("seed").get<std::int64_t>(), object.at("num_samples").get<std::int64_t>()};
}

std::optional<double> ScoreOf(const nlohmann::json& score) {
  return score.is_null() ? std::nullopt : std::optional(score.get<double>());
}

std::vector<Baselines::Row> RowsOf(const nlohmann::json& list, const std::string& unit) {
  std::vector<Baselines::Row> rows;
  for (const nlohmann::json& row : list) {
    rows.push_back({.weights = row.at("weights").get<std::string>(),
                    .which = row.at("which").get<std::string>(),
                    .coefficients = row.at("coefficients").get<Coefficients>(),
                    .search = ScoreOf(row.at("search_" + unit)),
                    .held_out = ScoreOf(row.at("held_out_" + unit)),
                    .audits = {}});
    for (const nlohmann::json& score : row.at("audit_" + unit)) rows.back().audits.push_back(ScoreOf(score));
  }
  return rows;
}

Baselines Parse(std::istream& file) {
  const nlohmann::json content = nlohmann::json::parse(file);
  const std::string unit = content.at("objective").get<std::string>() == "fid" ? "fid" : "score";
  Baselines baselines;
  baselines.search_noise = NoiseOf(content.at("search_noise"));
  baselines.held_out_noise = NoiseOf(content.at("held_out_noise"));
  if (content.contains("audits")) {
    for (const nlohmann::json& audit : content["audits"]) {
      baselines.audit_extractors.push_back(audit.at("extractor").get<std::string>());
    }
  }
  baselines.rows = RowsOf(content.at("rows"), unit);
  baselines.curve = RowsOf(content.at("curve"), unit);
  for (Baselines::Row& row : baselines.rows) row.audits.resize(baselines.audit_extractors.size());
  return baselines;
}

}  // namespace

std::optional<Baselines> ReadBaselines(const fs::path& folder) {
  const fs::path path = folder / "baselines.json";
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  try {
    return Parse(file);
  } catch (const nlohmann::json::exception& error) {
    throw InputError("{}: expected what `lcsc baselines` writes, found something else ({}); run it again or remove it",
                     path.string(), error.what());
  }
}

}  // namespace lcsc
