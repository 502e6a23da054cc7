#include <algorithm>
#include <cstdio>
#include <optional>

#include "app/command.h"
#include "lcsc/base/error.h"
#include "lcsc/base/log.h"
#include "lcsc/base/progress.h"
#include "lcsc/base/stop_signal.h"
#include "lcsc/base/table.h"
#include "lcsc/comm/gather.h"
#include "lcsc/model/registry.h"
#include "lcsc/store/disk_speed.h"
#include "lcsc/store/packer.h"

namespace lcsc {
namespace {

constexpr double kMegabyte = 1e6;

class PackCommand : public Command {
 public:
  std::string name() const override { return "pack"; }
  std::string summary() const override {
    return "packs checkpoints into an HDF5 trajectory, or appends to one; ranks share the files";
  }

  void AddOptions(OptionSet& set) override {
    set.Add(
        {"", "checkpoints", "glob", "the .safetensors or torch.save checkpoints, 'ckpt/*.pt'; ordered by their step"},
        &options_.checkpoints);
    AddKeyOption(set, &options_.key);
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
    set.Add({"", "base_model", "path", "for LoRA checkpoints: the weights of the network that they change"},
            &base_model_);
    set.Add({"", "base_model_key", "path", "the dict of tensors in a --base-model that is a nested torch.save file"},
            &options_.base_model_key);
    set.Add({"", "lora_alpha", "", "for LoRA checkpoints that do not say it: alpha of the scale alpha / r"},
            &lora_alpha_);
    AddJsonFlag(set, &json_);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    InstallStopSignals();
    AgreeOnSetUp(world, [&] {
      for (const char* key : {"checkpoints", "output"}) set.Require(key);
      options_.output = output_;
      options_.storage = StorageTypeFromName(storage_);
      if (!network_.empty()) options_.network = network_;
      if (!base_model_.empty()) options_.base_model = base_model_;
      if (set.IsSet("lora_alpha")) options_.lora_alpha = lora_alpha_;
    });
    options_.check_network = WarnOfMisfit;
    PackTeam team{.world_rank = world.world_rank, .world_size = world.world_size};
    if (world.world_size > 1) {
      team.agree = [&world](const auto& work) { AgreeOnSetUp(world, work); };
      team.gather = [&world](const std::string& text) { return GatherTexts(world, text); };
    }
    const PackReport report = Pack(options_, team);
    if (world.world_rank == 0) Print(report, RatesOf(report));
    return report.interrupted ? ExitCode::kInterrupted : ExitCode::kDone;
  }

 private:
  // A trajectory of a network that is not known here can be merged, for whoever knows it, but not searched.
  static void WarnOfMisfit(const nlohmann::json& network, const TensorFile& weights) {
    try {
      LoadStateDict(*MakeDenoiser(network), weights.ReadAll(), weights.path().string());
    } catch (const Error& error) {
      spdlog::warn("`lcsc merge` will be able to use this trajectory, `lcsc search` will not: {}", error.what());
    }
  }

  // Bytes per second.
  struct Rates {
    double packed = 0;            // shard files, everything included: reading the checkpoints, comparing, fsync
    std::optional<double> plain;  // one sequential write of a plain file in the same folder, fsync included
  };

  Rates RatesOf(const PackReport& report) const {
    constexpr std::int64_t kLeast = 1 << 20, kMost = 256 << 20;  // bytes of the plain file
    if (report.bytes_written == 0 || report.seconds <= 0) return {};
    return {static_cast<double>(report.bytes_written) / report.seconds,
            MeasureSequentialWrite(options_.output, std::clamp(report.bytes_written, kLeast, kMost))};
  }

  void Print(const PackReport& report, const Rates& rates) const {
    const Trajectory& trajectory = report.trajectory;
    const std::string digest = trajectory.Digest();
    if (json_) {
      nlohmann::json json = {{"packed", report.num_packed},
                             {"skipped", report.num_skipped},
                             {"checkpoints", trajectory.steps.size()},
                             {"steps", trajectory.steps},
                             {"parameters", trajectory.table.num_elements()},
                             {"storage", storage_},
                             {"digest", digest},
                             {"output", output_},
                             {"bytes_read", report.bytes_read},
                             {"bytes_written", report.bytes_written},
                             {"seconds", report.seconds},
                             {"write_mb_per_s", rates.packed / kMegabyte}};
      json["plain_write_mb_per_s"] = rates.plain ? nlohmann::json(*rates.plain / kMegabyte) : nlohmann::json();
      json["fraction_of_disk"] = rates.plain ? nlohmann::json(rates.packed / *rates.plain) : nlohmann::json();
      if (trajectory.lora) json["lora_layers"] = trajectory.lora->layers.size();
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
    if (const auto& lora = trajectory.lora) {
      table.AddRow({"LoRA layers", LoraText(*lora)});
      table.AddRow(
          {"base model", fmt::format("{}{} (digest {})", lora->base_model.string(),
                                     lora->base_key.empty() ? "" : ", key " + lora->base_key, lora->base_digest)});
    }
    table.AddRow({"storage", storage_});
    table.AddRow({"digest", digest});
    if (report.num_packed > 0) {
      table.AddRow({"read", fmt::format("{} of checkpoints in {}", FormatBytes(static_cast<double>(report.bytes_read)),
                                        FormatDuration(report.seconds))});
      table.AddRow({"written", fmt::format("{}, {:.0f} MB/s", FormatBytes(static_cast<double>(report.bytes_written)),
                                           rates.packed / kMegabyte)});
    }
    if (rates.plain) {
      table.AddRow({"of the disk's speed", fmt::format("{:.0f} %: a plain file is written with {:.0f} MB/s",
                                                       100 * rates.packed / *rates.plain, *rates.plain / kMegabyte)});
    }
    std::fputs(table.ToString().c_str(), stdout);
  }

  // "24, rank 4, scale 0.5", or the ranges of both
  static std::string LoraText(const LoraDescription& lora) {
    const auto [low, high] = std::ranges::minmax(lora.layers, {}, &LoraLayer::rank);
    const auto [small, large] = std::ranges::minmax(lora.layers, {}, &LoraLayer::scale);
    const auto range = [](const auto& from, const auto& to) {
      return from == to ? fmt::format("{}", from) : fmt::format("{} to {}", from, to);
    };
    return fmt::format("{}, rank {}, scale {}", lora.layers.size(), range(low.rank, high.rank),
                       range(small.scale, large.scale));
  }

  PackOptions options_;
  std::string output_, network_, base_model_, storage_ = "f32";
  double lora_alpha_ = 0;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakePackCommand() { return std::make_unique<PackCommand>(); }

}  // namespace lcsc
