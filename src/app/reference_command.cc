#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>

#include "app/command.h"
#include "app/provenance.h"
#include "lcsc/base/table.h"
#include "lcsc/comm/group.h"
#include "lcsc/io/image_set.h"
#include "lcsc/metric/frechet.h"
#include "lcsc/model/registry.h"
#include "lcsc/model/threads.h"
#include "lcsc/service/extract_images.h"

namespace lcsc {
namespace {

class ReferenceCommand : public Command {
 public:
  std::string name() const override { return "reference"; }
  std::string summary() const override {
    return "turns real images into the statistics that scores are measured against (.npz, readable by pytorch-fid); "
           "all ranks share the images";
  }

  void AddOptions(OptionSet& set) override {
    set.Add({"", "images", "path",
             "the real images: .csv(.gz) digits, .npz (arr_0), .safetensors (uint8 NCHW), a folder of PNG"},
            &images_);
    set.Add(
        {"", "key", "", "the images' name in their file; none: arr_0 in .npz; \"images\" or the only one otherwise"},
        &key_);
    set.Add({"", "extractor", "path",
             "the feature extractor: weights of the FID Inception, weights with their network JSON, or a TorchScript "
             "archive"},
            &weights_);
    AddExtractorOptions(set, "", extraction_);
    set.Add({"", "output", "path", "the statistics: .npz with mu, sigma"}, &output_);
    set.AddFlag({"", "keep_features", "",
                 "keep the features in the file too (array `features`): the kernel distance, precision and recall need "
                 "them"},
                &keep_features_);
    set.Add({"", "batch_size", "images", "images that go through the extractor at once"}, &batch_size_, {1, 1000000});
    set.Add({"", "threads", "threads", "arithmetic threads of each rank; 0: the cores shared out"}, &threads_,
            {0, 100000});
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    SetArithmeticThreads(ThreadsPerRank(world, threads_, RankZero::kWorks));
    const auto group = JoinWorld(world);
    AgreeOnSetUp(world, [&] { SetUp(set); });
    const c10::InferenceMode no_gradients;
    at::Tensor features;
    FeatureStatistics statistics(extractor_->feature_dim());
    if (keep_features_) {
      features = ExtractImages(*extractor_, set_of_images_.images, batch_size_, *group).features;
      if (group->IsLeader()) statistics.Add(features);
    } else {
      AddOwnPart(statistics, *group);
      at::Tensor& packed = statistics.packed();
      group->ReduceToLeader({packed.data_ptr<double>(), static_cast<std::size_t>(packed.numel())});
    }
    if (group->IsLeader()) Write(statistics, features);
    return ExitCode::kDone;
  }

 private:
  void SetUp(const OptionSet& set) {
    for (const char* key : {"images", "extractor", "output"}) set.Require(key);
    set_of_images_ = ReadImageSet(images_, key_);
    if (set_of_images_.images.size(0) < 2) {
      throw InputError("{}: expected at least 2 images for a covariance, found {}", images_,
                       set_of_images_.images.size(0));
    }
    extractor_ = LoadFeatureExtractor(weights_, extraction_);
    CheckInceptionOptions(set, *extractor_);
    CheckTakes(*extractor_, set_of_images_.images, images_);
  }

  void AddOwnPart(FeatureStatistics& statistics, const Collective& group) const {
    const at::Tensor& images = set_of_images_.images;
    const Part own = SplitEvenly(images.size(0), group.group_size())[static_cast<std::size_t>(group.group_rank())];
    for (std::int64_t begin = own.begin; begin < own.end; begin += batch_size_) {
      statistics.Add(extractor_->Features(images.slice(0, begin, std::min(begin + batch_size_, own.end))));
    }
  }

  void Write(const FeatureStatistics& statistics, const at::Tensor& features) const {
    if (!statistics.IsFinite()) {
      throw InputError("{}: the features of {} are not all finite; check the extractor's weights", weights_, images_);
    }
    const nlohmann::json provenance = ProvenanceOf(*extractor_, weights_, set_of_images_.images);
    WriteReference(output_, {GaussianOf(statistics), provenance.dump(), features});
    Table table({"what", "value"});
    table.AddRow({"reference", output_});
    table.AddRow({"images", fmt::format("{} of {}", set_of_images_.images.size(0), images_)});
    table.AddRow({"features", fmt::format("{}", extractor_->feature_dim())});
    table.AddRow({"extractor", weights_});
    table.AddRow({"protocol", extractor_->protocol()});
    std::fputs(table.ToString().c_str(), stdout);
  }

  ExtractorOptions extraction_;
  std::string images_, key_, weights_, output_;
  std::int64_t batch_size_ = 250, threads_ = 0;
  bool keep_features_ = false;
  ImageSet set_of_images_;
  std::shared_ptr<FeatureExtractor> extractor_;
};

}  // namespace

std::unique_ptr<Command> MakeReferenceCommand() { return std::make_unique<ReferenceCommand>(); }

}  // namespace lcsc
