// What every subcommand is, and the options that they share.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/comm/mpi_session.h"
#include "lcsc/config/evaluation_options.h"
#include "lcsc/config/option_set.h"
#include "lcsc/config/run_options.h"
#include "lcsc/config/search_options.h"
#include "lcsc/config/train_options.h"

namespace lcsc {

class Command {
 public:
  virtual ~Command() = default;
  virtual std::string name() const = 0;
  // One sentence, for the list of commands.
  virtual std::string summary() const = 0;
  // Declares the command's own options; targets are members of the command.
  virtual void AddOptions(OptionSet& set) = 0;
  // Runs on every rank. Results go to stdout, by rank 0 alone.
  virtual ExitCode Run(const World& world, OptionSet& set) = 0;
};

// All commands, in the order in which a user meets them.
std::vector<std::unique_ptr<Command>> MakeCommands();
std::unique_ptr<Command> MakeTrainCommand();
std::unique_ptr<Command> MakePackCommand();
std::unique_ptr<Command> MakeInspectCommand();
std::unique_ptr<Command> MakeReferenceCommand();
std::unique_ptr<Command> MakeFeaturesCommand();
std::unique_ptr<Command> MakeSearchCommand();
std::unique_ptr<Command> MakeStatusCommand();
std::unique_ptr<Command> MakeBaselinesCommand();
std::unique_ptr<Command> MakeLandscapeCommand();
std::unique_ptr<Command> MakeReportCommand();
std::unique_ptr<Command> MakeMergeCommand();
std::unique_ptr<Command> MakeSampleCommand();
std::unique_ptr<Command> MakeEvaluateCommand();
std::unique_ptr<Command> MakeMetricsCommand();
std::unique_ptr<Command> MakeDenoiseCommand();
std::unique_ptr<Command> MakeSimulateCommand();
std::unique_ptr<Command> MakeBenchCommand();
std::unique_ptr<Command> MakeDoctorCommand();

// The sections of a config file. Every command that reads one declares them all, so that one file serves all commands
// and a misspelt key is found by each.
struct ConfigFile {
  std::string path;
  std::vector<std::string> assignments;
  TrainOptions train;
  EvaluationOptions evaluation;
  SearchOptions search;
  RunOptions run;

  void AddOptions(OptionSet& set);
};

// Declares --json.
void AddJsonFlag(OptionSet& set, bool* json);

// Declares --key.
void AddKeyOption(OptionSet& set, std::string* key);

// The command line without the program's name -> exit code. Errors are thrown.
ExitCode RunCommandLine(const World& world, const std::vector<std::string>& arguments);

// docs/options.md, from the commands' own declarations.
std::string OptionsMarkdown();

}  // namespace lcsc
