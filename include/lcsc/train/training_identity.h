// What an output folder's content was trained with, so that two trainings are never mixed in one folder.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "lcsc/config/train_options.h"

namespace lcsc {

// Key ("train.seed", "train.network", ...) -> value, of everything that decides the trained weights.
using TrainingIdentity = std::map<std::string, std::string>;

TrainingIdentity IdentityOf(const TrainOptions& options, const nlohmann::json& network);

// Publishes the identity at `path` when no file is there. Otherwise throws ConfigError that names the first key that
// differs and both values, InputError when the file is damaged.
void ClaimOutput(const std::filesystem::path& path, const TrainingIdentity& identity);

}  // namespace lcsc
