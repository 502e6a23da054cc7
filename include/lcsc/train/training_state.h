// Where an interrupted training stands: a .safetensors file in the output folder, replaced atomically.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "lcsc/io/safetensors.h"

namespace lcsc {

struct TrainingState {
  std::string stage;            // the stage it stands in
  std::int64_t iterations = 0;  // finished in that stage
  NamedTensors optimiser;       // FlatAdam::State
};

void WriteTrainingState(const std::filesystem::path& path, const TrainingState& state);
// Nothing when there is no such file. Throws InputError when it is damaged, or not a training state of this version.
std::optional<TrainingState> ReadTrainingState(const std::filesystem::path& path);

}  // namespace lcsc
