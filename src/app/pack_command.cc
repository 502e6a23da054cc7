#include <cstdio>

#include "app/command.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/base/table.h"
#include "lcsc/store/packer.h"

namespace lcsc {
namespace {

class PackCommand : public Command {
 public:
  std::string name() const override { return "pack"; }
  std::string summary() const override { return "packs checkpoints into an HDF5 trajectory, or appends to one"; }

  void AddOptions(OptionSet& set) override {
    set.Add({"", "checkpoints", "glob", "the .safetensors checkpoints, 'ckpt/*.safetensors'; ordered by their step"},
            &options_.checkpoints);
    set.Add({"", "output", "path", "the trajectory's folder, X.traj"}, &output_);
    set.AddChoice({"", "storage", "", "type of the stored differences to the first checkpoint"}, &storage_,
                  {"f32", "f16", "bf16"});
    set.Add({"", "network", "path", "file with the network JSON; none: __metadata__.config of the first checkpoint"},
            &network_);
    set.Add({"", "buffers", "regex", "floating-point tensors that are taken from the last checkpoint, not merged"},
            &options_.buffers_regex);
    set.Add({"", "shard_elements", "parameters", "parameters per shard file"}, &options_.shard_elements,
            {1, std::int64_t{1} << 40});
    set.Add({"", "segment_checkpoints", "checkpoints", "checkpoints per shard file; what a killed packer does again"},
            &options_.segment_checkpoints, {2, 1 << 20});
    AddJsonFlag(set, &json_);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    if (world.world_rank != 0) return ExitCode::kDone;
    InstallStopSignals();
    for (const char* key : {"checkpoints", "output"}) set.Require(key);
    options_.output = output_;
    options_.storage = StorageTypeFromName(storage_);
    if (!network_.empty()) options_.network = network_;
    const PackReport report = Pack(options_);
    Print(report);
    return StopRequested() ? ExitCode::kInterrupted : ExitCode::kDone;
  }

 private:
  void Print(const PackReport& report) const {
    const Trajectory& trajectory = report.trajectory;
    const std::string digest = trajectory.Digest();
    if (json_) {
      const nlohmann::json json = {{"packed", report.num_packed},
                                   {"skipped", report.num_skipped},
                                   {"checkpoints", trajectory.steps.size()},
                                   {"steps", trajectory.steps},
                                   {"parameters", trajectory.table.num_elements()},
                                   {"storage", storage_},
                                   {"digest", digest},
                                   {"output", output_}};
      std::printf("%s\n", json.dump().c_str());
      return;
    }
    Table table({"what", "value"});
    table.AddRow({"trajectory", output_});
    table.AddRow({"checkpoints", fmt::format("{} ({} packed now, {} before)", trajectory.steps.size(),
                                             report.num_packed, report.num_skipped)});
    if (!trajectory.steps.empty()) {
      table.AddRow({"steps", fmt::format("{} to {}", trajectory.steps.front(), trajectory.steps.back())});
    }
    table.AddRow({"merged parameters", fmt::format("{}", trajectory.table.num_elements())});
    table.AddRow({"storage", storage_});
    table.AddRow({"digest", digest});
    std::fputs(table.ToString().c_str(), stdout);
  }

  PackOptions options_;
  std::string output_, network_, storage_ = "f32";
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakePackCommand() { return std::make_unique<PackCommand>(); }

}  // namespace lcsc
