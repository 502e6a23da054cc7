// The configs of the paper's experiments: everything that they say is something that the program knows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "app/command.h"
#include "lcsc/model/registry.h"
#include "lcsc/model/weight_budget.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const fs::path kConfigs = fs::path(LCSC_SOURCE_DIR) / "configs";

std::vector<fs::path> ConfigsEndingIn(const std::string& ending) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(kConfigs)) {
    if (entry.path().string().ends_with(ending)) paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  return paths;
}

ConfigFile Read(const fs::path& path) {
  ConfigFile file;
  OptionSet set;
  file.AddOptions(set);
  set.ReadConfig(path);
  return file;
}

// What the paper's App. E.1 and Tab. 1 to 6 say of an experiment.
struct Experiment {
  std::int64_t num_samples;
  std::vector<std::string> sampler;  // one of these
  std::int64_t steps = 0;            // of the sampler, where it has steps
  std::vector<double> consistency_sigmas = {};
};
const std::map<std::string, Experiment> kExperiments = {
    {"cifar10-cd", {10000, {"consistency"}}},
    {"cifar10-ct", {10000, {"consistency"}}},
    {"cifar10-cd-2step", {10000, {"consistency"}, 0, {0.821}}},
    {"cifar10-dm", {10000, {"dpm-solver", "dpm-solver++"}, 15}},
    {"imagenet64-cd", {10000, {"consistency"}}},
    {"imagenet64-ct", {10000, {"consistency"}}},
    {"imagenet64-dm", {5000, {"dpm-solver", "dpm-solver++"}, 15}},
    {"lsun-ct", {5000, {"consistency"}}},
    {"lcm-lora", {1000, {"consistency"}}},
};

TEST(Configs, EachIsReadAndThePapersSayWhatThePaperSays) {
  std::set<std::string> seen;
  for (const fs::path& path : ConfigsEndingIn(".ini")) {
    SCOPED_TRACE(path);
    const ConfigFile file = Read(path);
    const auto found = kExperiments.find(path.stem());
    if (found == kExperiments.end()) continue;
    seen.insert(found->first);
    const Experiment& paper = found->second;
    EXPECT_EQ(file.search.epochs * file.search.children, 2000);
    EXPECT_EQ(file.evaluation.num_samples, paper.num_samples);
    EXPECT_THAT(paper.sampler, ::testing::Contains(file.evaluation.sampler));
    EXPECT_EQ(file.evaluation.consistency_sigmas, paper.consistency_sigmas);
    if (paper.steps > 0) {
      EXPECT_EQ(file.evaluation.steps, paper.steps);
      EXPECT_EQ(file.evaluation.denoise_to_zero, "off");  // one more function evaluation
    }
  }
  EXPECT_EQ(seen.size(), kExperiments.size());
}

TEST(Configs, AMisspeltKeyIsRefused) {
  const TempFolder folder;
  WriteBytes(folder / "bad.ini", ReadBytes(kConfigs / "cifar10-cd.ini") + "epoch = 3\n");
  EXPECT_THAT(MessageOf<ConfigError>([&] { Read(folder / "bad.ini"); }),
              AllOf(HasSubstr("search.epoch'"), HasSubstr("search.epochs")));
}

// Words with spaces in between, '' around those that a shell would expand.
std::vector<std::string> WordsOf(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream stream(line);
  for (std::string word; stream >> word;) {
    std::erase(word, '\'');
    words.push_back(word);
  }
  return words;
}

// The commands in the comments at the head of a config, with \ at the end of a line that goes on.
std::vector<std::vector<std::string>> CommandsOf(const fs::path& path) {
  std::vector<std::vector<std::string>> commands;
  std::ifstream file(path);
  for (std::string line, more; std::getline(file, line) && line.starts_with('#');) {
    while (line.ends_with('\\') && std::getline(file, more)) line = line.substr(0, line.size() - 1) + more.substr(1);
    std::vector<std::string> words = WordsOf(line.substr(1));
    if (words.size() < 2 || (words[0] != "lcsc" && words[0] != "launch/run")) continue;
    const std::ptrdiff_t first = words[0] == "lcsc" ? 1 : 3;  // launch/run --workers 8 COMMAND ...
    commands.emplace_back(words.begin() + first, words.end());
  }
  return commands;
}

TEST(Configs, TheCommandsInTheirHeadsAreCommandsAndTheirFilesExist) {
  for (const fs::path& path : ConfigsEndingIn(".ini")) {
    SCOPED_TRACE(path);
    if (path.stem() == "digits") continue;
    std::vector<std::string> names;
    for (const std::vector<std::string>& words : CommandsOf(path)) {
      SCOPED_TRACE(words.front());
      names.push_back(words.front());
      const auto commands = MakeCommands();
      const auto command =
          std::ranges::find_if(commands, [&](const auto& known) { return known->name() == words.front(); });
      ASSERT_NE(command, commands.end());
      std::vector<std::string> arguments(words.begin() + 1, words.end());
      for (std::string& argument : arguments) {
        if (!argument.starts_with("configs/")) continue;
        argument = (fs::path(LCSC_SOURCE_DIR) / argument).string();
        EXPECT_TRUE(fs::exists(argument)) << argument;
      }
      OptionSet set;
      (*command)->AddOptions(set);
      EXPECT_NO_THROW(set.Parse(arguments));
    }
    EXPECT_THAT(names, ::testing::IsSupersetOf({"pack", "search", "baselines", "merge"}));
  }
}

std::int64_t ParametersOf(const std::string& network) {
  const WeightBudget budget({.elements = std::int64_t{1} << 40, .memory = WeightMemory::kNone});
  std::int64_t count = 0;
  const Json json = Json::parse(ReadBytes(kConfigs / (network + "-network.json")));
  for (const at::Tensor& weight : MakeDenoiser(json)->parameters()) count += weight.numel();
  return count;
}

// Published: DDPM 35.7 M (Ho et al. 2020, App. B), ADM's ImageNet-64 295.9 M (Karras et al. 2022, Tab. 3; Dhariwal and
// Nichol 2021), EDM's DDPM++ 55.7 M, to which NCSN++ adds its Fourier features and its residual inputs. The exact
// numbers are sums over the published layers, made without this program; the same sums give 553.8 M for ADM's
// ImageNet-256, as published.
TEST(Configs, TheNetworksHaveThePublishedSizes) {
  EXPECT_EQ(ParametersOf("cifar10-ddpm"), 35'746'307);
  EXPECT_EQ(ParametersOf("cifar10-ncsnpp"), 56'395'523);
  EXPECT_EQ(ParametersOf("imagenet64-adm"), 295'899'267);
  EXPECT_EQ(ParametersOf("imagenet64-iddpm"), 121'063'942);
  EXPECT_EQ(ParametersOf("lsun256-adm"), 526'304'771);
}

// The JSON of the text-to-image pipeline names the module that its user exports.
TEST(Configs, TheModuleOfThePipelineIsTheUsersOwn) {
  const Json json = Json::parse(ReadBytes(kConfigs / "lcm-lora-network.json"));
  EXPECT_THAT(MessageOf<InputError>([&] { MakeDenoiser(json); }), HasSubstr(json["module"].get<std::string>()));
}

}  // namespace
}  // namespace lcsc
