// A tiny training run on disk, packed, with the config file of a search of 15 evaluations.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/run_command.h"
#include "service/tiny_models.h"

namespace lcsc {

class TinyProject {
 public:
  static constexpr int kCheckpoints = 5;

  TinyProject() : models_(folder_.path() / "models") {
    for (int i = 0; i < kCheckpoints; ++i) {
      models_.WriteCheckpoint(CheckpointName(i), models_.Weights(static_cast<std::uint64_t>(i), 0.02), 10 * (i + 1));
    }
    WriteConfig("search.ini", "f32.traj");
    Pack("f32", "f32.traj");
  }

  // Packs the checkpoints with this storage.
  void Pack(const std::string& storage, const std::string& output) const {
    const CommandResult packed =
        RunCommand(Lcsc({"pack", "--checkpoints", checkpoints(), "--output", Path(output), "--storage", storage}));
    if (packed.exit_code != 0) throw std::runtime_error("cannot pack: " + packed.err);
  }

  void WriteConfig(const std::string& name, const std::string& trajectory) const {
    WriteBytes(Path(name), "[evaluation]\ntrajectory = " + Path(trajectory) +
                               "\nextractor = " + models_.extractor_path().string() +
                               "\nreference = " + models_.reference_path().string() +
                               "\nnum_samples = 60\nbatch_size = 16\n"
                               "[search]\nepochs = 3\nchildren = 4\nema_rates = 0,0.9,0.95\n"
                               "[run]\nthreads = 1\n");
  }

  std::string Path(const std::string& name) const { return folder_ / name; }
  std::string checkpoints() const { return models_.folder() / "step-*.safetensors"; }
  static std::string CheckpointName(int i) { return "step-" + std::to_string(10 * (i + 1)); }
  std::string CheckpointPath(int i) const { return models_.folder() / (CheckpointName(i) + ".safetensors"); }
  const TinyModels& models() const { return models_; }

  // `lcsc search` with the project's config, into the run directory of this name.
  Arguments Search(const std::string& run, const Arguments& more = {}, const std::string& config = "search.ini") const {
    return Arguments{"search", "--config", Path(config), "--run", Path(run)} + more;
  }

  // What `lcsc status --candidates --json` says of the run.
  nlohmann::json Status(const std::string& run) const {
    const CommandResult result = RunCommand(Lcsc({"status", Path(run), "--candidates", "--json"}));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  // The candidates of a search that is expected to end well.
  nlohmann::json CandidatesOf(const Arguments& command, const std::string& run) const {
    const CommandResult result = RunCommand(command);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return Status(run)["candidates"];
  }

 private:
  TempFolder folder_;
  TinyModels models_;
};

// The same ids, parents and coefficients, bit for bit; scores within 1e-6 relative.
inline void ExpectSameSearch(const nlohmann::json& found, const nlohmann::json& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(found[i]["id"], expected[i]["id"]);
    EXPECT_EQ(found[i]["parents"], expected[i]["parents"]) << expected[i]["id"];
    EXPECT_EQ(found[i]["coefficients"], expected[i]["coefficients"]) << expected[i]["id"];
    ASSERT_TRUE(found[i]["score"].is_number());
    const double score = expected[i]["score"].get<double>();
    EXPECT_NEAR(found[i]["score"].get<double>(), score, 1e-6 * score) << expected[i]["id"];
  }
}

}  // namespace lcsc
