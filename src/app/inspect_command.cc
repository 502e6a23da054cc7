#include <cstdio>

#include "app/command.h"
#include "lcsc/base/table.h"
#include "lcsc/state/run_directory.h"
#include "lcsc/store/inspector.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {
namespace {

std::string CellText(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// A list of objects of the same keys is a table of its own.
bool IsTable(const nlohmann::json& value) { return value.is_array() && !value.empty() && value[0].is_object(); }

std::string TableOf(const nlohmann::json& rows) {
  std::vector<std::string> header;
  for (const auto& [key, value] : rows[0].items()) header.push_back(key);
  Table table(header);
  for (const nlohmann::json& row : rows) {
    std::vector<std::string> cells;
    for (const std::string& key : header) cells.push_back(row.contains(key) ? CellText(row[key]) : "");
    table.AddRow(std::move(cells));
  }
  return table.ToString();
}

// The facts of any description as tables: single values first, then each list.
std::string TextOf(const nlohmann::json& description) {
  Table facts({"what", "value"});
  std::string lists;
  for (const auto& [key, value] : description.items()) {
    if (IsTable(value)) {
      lists += "\n" + key + ":\n" + TableOf(value);
    } else {
      facts.AddRow({key, CellText(value)});
    }
  }
  return facts.ToString() + lists;
}

nlohmann::json DescribeRun(const std::string& folder) {
  const RunDirectory directory = RunDirectory::OpenExisting(folder);
  const PopulationSnapshot snapshot = *directory.ReadSnapshot();
  nlohmann::json description = {{"kind", "run directory"},
                                {"path", folder},
                                {"state", RunStateName(snapshot.state)},
                                {"evaluations", snapshot.population.size()},
                                {"planned_evaluations", snapshot.planned_evaluations}};
  for (const auto& [key, value] : snapshot.identity) {
    description["identity"].push_back({{"key", key}, {"value", value}});
  }
  return description;
}

class InspectCommand : public Command {
 public:
  std::string name() const override { return "inspect"; }
  std::string summary() const override {
    return "prints what is in a file: trajectory, checkpoint, statistics, images, run directory";
  }

  void AddOptions(OptionSet& set) override {
    set.AddPositional({"", "path", "path", "the file or folder"}, &path_);
    AddKeyOption(set, &key_);
    set.AddFlag({"", "verify", "", "read a whole trajectory and compare every digest"}, &verify_);
    AddJsonFlag(set, &json_);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    if (world.world_rank != 0) return ExitCode::kDone;
    set.Require("path");
    const std::filesystem::path path = path_;
    const bool is_run = std::filesystem::exists(path / "population.h5") || path.filename() == "population.h5";
    if (verify_) VerifyTrajectory(path);
    const nlohmann::json description =
        is_run ? DescribeRun(std::filesystem::is_directory(path) ? path_ : path.parent_path().string())
               : DescribeFile(path, {.key = key_});
    std::fputs((json_ ? description.dump() + "\n" : TextOf(description)).c_str(), stdout);
    if (verify_) std::fputs(json_ ? "" : "\nevery digest agrees\n", stdout);
    return ExitCode::kDone;
  }

 private:
  std::string path_, key_;
  bool verify_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeInspectCommand() { return std::make_unique<InspectCommand>(); }

}  // namespace lcsc
