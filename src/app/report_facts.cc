#include "app/report_facts.h"

#include <fstream>
#include <iterator>

#include "app/identity.h"
#include "app/live_view.h"
#include "lcsc/base/error.h"
#include "lcsc/base/progress.h"

namespace lcsc {
namespace fs = std::filesystem;
namespace {

constexpr std::uintmax_t kMostSideFileBytes = std::uintmax_t{32} << 20;

// nullopt: there is no such file.
std::optional<std::string> ReadSideFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error || bytes > kMostSideFileBytes) {
    throw InputError("{}: expected a file of at most {}, found {}; remove it or make it again", path.string(),
                     FormatBytes(static_cast<double>(kMostSideFileBytes)),
                     error ? error.message() : FormatBytes(static_cast<double>(bytes)));
  }
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

void ReadTrajectoryInto(ReportFacts& facts) {
  try {
    const Trajectory trajectory = ReadTrajectory(facts.evaluation.trajectory);
    CheckSearchedTrajectory(facts.snapshot.identity, trajectory, facts.folder.string());
    facts.trajectory = trajectory;
  } catch (const InputError& error) {
    facts.no_trajectory = error.what();
  }
}

}  // namespace

OutcomeTimes ReadOutcomeTimes(const fs::path& metrics_jsonl) {
  OutcomeTimes times;
  std::ifstream file(metrics_jsonl);
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const bool is_sound = entry.is_object() && entry.contains("id") && entry["id"].is_number_integer() &&
                          entry.contains("seconds") && entry["seconds"].is_number();
    if (is_sound) {
      times.told_s.try_emplace(entry["id"].get<std::int64_t>(), entry["seconds"].get<double>());
    } else {
      ++times.unreadable_lines;
    }
  }
  return times;
}

std::optional<LandscapeFacts> ReadLandscape(const fs::path& folder) {
  constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
  const fs::path image = folder / "landscape.png", facts = folder / "landscape.json";
  auto png = ReadSideFile(image);
  if (!png) return std::nullopt;
  if (!png->starts_with(kSignature)) {
    throw InputError("{}: expected a PNG image, found something else; remove it or make it again", image.string());
  }
  LandscapeFacts landscape{std::move(*png), {}};
  const auto text = ReadSideFile(facts);
  if (!text) return landscape;
  const nlohmann::json content = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!content.is_object()) {
    throw InputError("{}: expected a JSON object, found something else; remove it or make it again", facts.string());
  }
  for (const auto& [key, value] : content.items()) {
    if (value.is_structured()) continue;
    landscape.facts.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return landscape;
}

void ReadRun(ReportFacts& facts) {
  const RunDirectory directory = RunDirectory::OpenExisting(facts.folder);
  facts.snapshot = *directory.ReadSnapshot();
  facts.headline = LookAtLiveView(facts.folder, ObserverHere()).headline;
  facts.config = ReadSideFile(directory.config_path()).value_or("");
  facts.times = ReadOutcomeTimes(directory.metrics_path());
  facts.baselines = ReadBaselines(facts.folder);
  facts.landscape = ReadLandscape(facts.folder);
  ReadTrajectoryInto(facts);
}

}  // namespace lcsc
