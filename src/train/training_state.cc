#include "lcsc/train/training_state.h"

#include <charconv>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr const char* kStateFormat = "lcsc-training-state-1";

std::string MetadataOf(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? "" : found->second;
}

}  // namespace

void WriteTrainingState(const std::filesystem::path& path, const TrainingState& state) {
  WriteSafetensors(
      path, state.optimiser,
      {{"format", kStateFormat}, {"stage", state.stage}, {"iterations", fmt::format("{}", state.iterations)}});
}

std::optional<TrainingState> ReadTrainingState(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const SafetensorsFile file(path);
  if (const std::string format = MetadataOf(file, "format"); format != kStateFormat) {
    throw InputError("{}: format: expected {}, found '{}'; remove the file to train that stage anew", path.string(),
                     kStateFormat, format);
  }
  TrainingState state;
  state.stage = MetadataOf(file, "stage");
  const std::string iterations = MetadataOf(file, "iterations");
  const char* const end = iterations.data() + iterations.size();
  const auto parsed = std::from_chars(iterations.data(), end, state.iterations);
  if (parsed.ec != std::errc{} || parsed.ptr != end || state.iterations < 0) {
    throw InputError("{}: iterations: expected a whole number, found '{}'; remove the file to train that stage anew",
                     path.string(), iterations);
  }
  for (const TensorEntry& entry : file.entries()) state.optimiser.emplace(entry.name, file.Read(entry.name));
  return state;
}

}  // namespace lcsc
