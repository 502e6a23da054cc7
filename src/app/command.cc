#include "app/command.h"

#include <algorithm>
#include <cstdio>

#include "lcsc/base/log.h"
#include "lcsc/base/table.h"
#include "lcsc/comm/launcher.h"
#include "lcsc/config/nearest.h"

namespace lcsc {
namespace {

constexpr const char* kHelpHint = "see `lcsc --help`";

std::string GeneralHelp() {
  std::string help = "lcsc " LCSC_VERSION
                     ": searches for the linear combination of a training run's checkpoints whose images are best.\n\n"
                     "usage: lcsc COMMAND [options]\n       mpirun -n RANKS lcsc COMMAND [options]\n\n";
  Table table({"command", "what it does"});
  for (const auto& command : MakeCommands()) table.AddRow({command->name(), command->summary()});
  return help + table.ToString() +
         "\n`lcsc COMMAND --help` lists a command's options; docs/options.md lists all.\n"
         "Exit codes: 0 done, 2 bad input or config, 3 interrupted after a clean snapshot, 4 failed, 5 a rank stopped "
         "answering: run it again.\n";
}

void PrintOnce(const World& world, const std::string& text) {
  if (world.world_rank == 0) std::fputs(text.c_str(), stdout);
}

std::unique_ptr<Command> FindCommand(const std::string& name) {
  std::vector<std::string> names;
  for (auto& command : MakeCommands()) {
    if (command->name() == name) return std::move(command);
    names.push_back(command->name());
  }
  throw ConfigError("unknown command '{}'{}; {}", name, Suggestion(name, names), kHelpHint);
}

// Copies that were meant to be ranks of one job would all do the whole work.
void WarnOfLauncher(const World& world, const Command& command) {
  const auto launcher = LauncherOf(OwnEnvironment());
  const std::string mismatch = LauncherMismatch(launcher, world.world_size);
  if (mismatch.empty() || launcher->number != 0 || command.name() == "doctor") return;
  spdlog::warn("{}; `lcsc doctor` says what to do", mismatch);
}

std::string CommandHelp(const Command& command, const OptionSet& set) {
  return fmt::format("lcsc {}: {}\n\noptions:\n{}", command.name(), command.summary(), set.Help());
}

}  // namespace

std::vector<std::unique_ptr<Command>> MakeCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(MakeTrainCommand());
  commands.push_back(MakePackCommand());
  commands.push_back(MakeInspectCommand());
  commands.push_back(MakeReferenceCommand());
  commands.push_back(MakeFeaturesCommand());
  commands.push_back(MakeSearchCommand());
  commands.push_back(MakeStatusCommand());
  commands.push_back(MakeBaselinesCommand());
  commands.push_back(MakeLandscapeCommand());
  commands.push_back(MakeReportCommand());
  commands.push_back(MakeMergeCommand());
  commands.push_back(MakeSampleCommand());
  commands.push_back(MakeEvaluateCommand());
  commands.push_back(MakeMetricsCommand());
  commands.push_back(MakeDenoiseCommand());
  commands.push_back(MakeSimulateCommand());
  commands.push_back(MakeBenchCommand());
  commands.push_back(MakeDoctorCommand());
  return commands;
}

void ConfigFile::AddOptions(OptionSet& set) {
  set.Add({"", "config", "path", "INI file with the sections [train], [evaluation], [search], [run]"}, &path);
  set.Add({"", "set", "section.key=value", "overrides one key of the config file; may be given several times"},
          &assignments);
  AddTrainOptions(set, train);
  AddEvaluationOptions(set, evaluation);
  AddSearchOptions(set, search);
  AddRunOptions(set, run);
}

void AddJsonFlag(OptionSet& set, bool* json) {
  set.AddFlag({"", "json", "", "print one JSON object on stdout instead of a table"}, json);
}

void AddKeyOption(OptionSet& set, std::string* key) {
  set.Add({"", "key", "path",
           "the dict of tensors in a nested torch.save file: ema, state.ema, or a list's position; a "
           "dot at the end (. alone: of the top) leaves out dicts further inside"},
          key);
}

ExitCode RunCommandLine(const World& world, const std::vector<std::string>& arguments) {
  const std::string first = arguments.empty() ? "--help" : arguments.front();
  if (first == "--help" || first == "-h" || first == "help") {
    PrintOnce(world, GeneralHelp());
    return arguments.empty() ? ExitCode::kBadInput : ExitCode::kDone;
  }
  if (first == "--version") {
    PrintOnce(world, "lcsc " LCSC_VERSION "\n");
    return ExitCode::kDone;
  }
  if (first == "--options-markdown") {
    PrintOnce(world, OptionsMarkdown());
    return ExitCode::kDone;
  }
  std::unique_ptr<Command> command;
  OptionSet set;
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  const bool help = std::find(rest.begin(), rest.end(), "--help") != rest.end();
  AgreeOnSetUp(world, [&] {
    command = FindCommand(first);
    command->AddOptions(set);
    if (!help) set.Parse(rest);
  });
  if (help) {
    PrintOnce(world, CommandHelp(*command, set));
    return ExitCode::kDone;
  }
  WarnOfLauncher(world, *command);
  return command->Run(world, set);
}

std::string OptionsMarkdown() {
  constexpr const char* kHead = "| option | default | valid | unit | meaning |\n|---|---|---|---|---|\n";
  std::string text =
      "# Options\n\nMade by `lcsc --options-markdown`; a test keeps it equal to the program.\n\n"
      "A command's own options are flags. Keys of a config file stand in sections; `--set section.key=value` overrides "
      "one of them, and where a command says so they are flags of the command too.\n";
  for (const auto& command : MakeCommands()) {
    OptionSet set;
    command->AddOptions(set);
    text += fmt::format("\n## lcsc {}\n\n{}\n\n{}{}", command->name(), command->summary(), kHead, set.MarkdownRows(""));
  }
  OptionSet set;
  ConfigFile file;
  file.AddOptions(set);
  text += "\n## Config file\n";
  for (const std::string& section : set.Sections()) {
    if (section.empty()) continue;
    text += fmt::format("\n### [{}]\n\n{}{}", section, kHead, set.MarkdownRows(section));
  }
  return text;
}

}  // namespace lcsc
