#include <algorithm>
#include <cstdio>

#include "app/command.h"
#include "app/drawing.h"
#include "app/report.h"
#include "app/weights.h"
#include "lcsc/comm/group.h"
#include "lcsc/io/npz.h"
#include "lcsc/io/png.h"
#include "lcsc/model/threads.h"
#include "lcsc/service/image_source.h"

namespace lcsc {
namespace {

class SampleCommand : public Command {
 public:
  std::string name() const override { return "sample"; }
  std::string summary() const override { return "draws images from weights: an .npz (arr_0) and a PNG grid"; }

  void AddOptions(OptionSet& set) override {
    weights_.AddOptions(set, "weights to sample from");
    set.Add({"", "output", "path", "the images: .npz with arr_0, uint8 [n, h, w, c]"}, &output_);
    set.Add({"", "grid", "path", "a PNG grid of the first images"}, &grid_);
    set.Add({"", "grid_images", "images", "how many images the grid shows"}, &grid_images_, {1, 10000});
    file_.AddOptions(set);
    set.ExposeSection("evaluation");
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    if (world.world_rank != 0) return ExitCode::kDone;
    set.Require("weights");
    if (output_.empty() && grid_.empty()) throw ConfigError("sample: expected --output or --grid, found neither");
    SetArithmeticThreads(ThreadsPerRank({}, file_.run.threads));
    const auto network = weights_.Load();
    if (!grid_.empty()) CheckDrawable(*network, "--grid");
    const int function_evaluations = FunctionEvaluationsOf(file_.evaluation, *network);
    const std::int64_t num_samples = file_.evaluation.num_samples;
    const at::Tensor images =
        DrawImages(*network, file_.evaluation,
                   {weights_.weights, output_.empty() ? std::min(grid_images_, num_samples) : num_samples});
    if (!output_.empty()) WriteNpz(output_, {{"arr_0", images.permute({0, 2, 3, 1}).contiguous()}});
    if (!grid_.empty()) WritePng(grid_, ImageGrid(images.slice(0, 0, std::min(grid_images_, images.size(0))), {}));
    std::printf("%lld images of noise seed %lld by %s, function evaluations: %d%s%s%s%s\n",
                static_cast<long long>(images.size(0)), static_cast<long long>(file_.evaluation.seed),
                file_.evaluation.sampler.c_str(), function_evaluations, output_.empty() ? "" : " -> ", output_.c_str(),
                grid_.empty() ? "" : " -> ", grid_.c_str());
    return ExitCode::kDone;
  }

 private:
  WeightsOptions weights_;
  std::string output_, grid_;
  std::int64_t grid_images_ = 100;
  ConfigFile file_;
};

}  // namespace

std::unique_ptr<Command> MakeSampleCommand() { return std::make_unique<SampleCommand>(); }

}  // namespace lcsc
