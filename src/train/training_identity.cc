#include "lcsc/train/training_identity.h"

#include <fstream>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"

namespace lcsc {
namespace {

constexpr const char* kIdentityFormat = "lcsc-training-1";

TrainingIdentity ReadIdentity(const std::filesystem::path& path) {
  try {
    const nlohmann::json json = nlohmann::json::parse(std::ifstream(path));
    if (const auto format = json.at("format").get<std::string>(); format != kIdentityFormat) {
      throw InputError("{}: format: expected {}, found {}; choose another output folder", path.string(),
                       kIdentityFormat, format);
    }
    return json.at("identity").get<TrainingIdentity>();
  } catch (const nlohmann::json::exception& error) {
    throw InputError("{}: damaged ({}); choose another output folder", path.string(), error.what());
  }
}

}  // namespace

TrainingIdentity IdentityOf(const TrainOptions& options, const nlohmann::json& network) {
  TrainOptions copy = options;
  OptionSet set;
  AddTrainOptions(set, copy);
  TrainingIdentity identity;
  for (const OptionSet::Resolved& option : set.ResolvedValues()) {
    if (option.identity) identity.emplace(option.key, option.value);
  }
  identity.emplace("train.network", network.dump());
  identity.emplace("train.images (digest)", DigestOfFile(options.images));
  return identity;
}

void ClaimOutput(const std::filesystem::path& path, const TrainingIdentity& identity) {
  if (!std::filesystem::exists(path)) {
    PublishText(path, nlohmann::json{{"format", kIdentityFormat}, {"identity", identity}}.dump(2) + "\n");
    return;
  }
  TrainingIdentity recorded = ReadIdentity(path);
  for (const auto& [key, value] : identity) {
    if (recorded[key] == value) continue;
    throw ConfigError(
        "{}: {} was trained with {}, this training has {}; go back to that value or choose another "
        "train.output",
        key, path.parent_path().string(), recorded[key], value);
  }
}

}  // namespace lcsc
