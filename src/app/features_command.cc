
#include "app/command.h"
#include "app/provenance.h"
#include "app/report.h"
#include "lcsc/comm/group.h"
#include "lcsc/io/image_set.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/model/registry.h"
#include "lcsc/model/threads.h"
#include "lcsc/service/extract_images.h"

namespace lcsc {
namespace {

class FeaturesCommand : public Command {
 public:
  std::string name() const override { return "features"; }
  std::string summary() const override {
    return "turns images into an extractor's features (and logits), for metrics of any tool; all ranks share the "
           "images";
  }

  void AddOptions(OptionSet& set) override {
    set.AddChoice({"", "extractor", "", "kind of the extractor; auto: by its file's content"}, &extraction_.kind,
                  {"auto", "inception", "digits", "torchscript"},
                  "the extractor's file is given by --extractor-weights");
    set.Add({"", "extractor_weights", "path", "the extractor: .safetensors, a torch.save file, a TorchScript archive"},
            &weights_);
    AddExtractorOptions(set, "", extraction_);
    set.Add({"", "images", "path",
             "the images: .npz (arr_0, uint8 NHWC), .safetensors (uint8 NCHW), a folder of PNG, .csv(.gz) digits"},
            &images_);
    set.Add(
        {"", "key", "", "the images' name in their file; none: arr_0 in .npz; \"images\" or the only one otherwise"},
        &key_);
    set.Add({"", "output", "path", "the features: .safetensors with features and, for a classifier, logits_unbiased"},
            &output_);
    set.Add({"", "batch_size", "images", "images that go through the extractor at once"}, &batch_size_, {1, 1000000});
    set.Add({"", "threads", "threads", "arithmetic threads of each rank; 0: the cores shared out"}, &threads_,
            {0, 100000});
    AddJsonFlag(set, &json_);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    SetArithmeticThreads(ThreadsPerRank(world, threads_, RankZero::kWorks));
    const auto group = JoinWorld(world);
    AgreeOnSetUp(world, [&] { SetUp(set); });
    const Extraction extraction = ExtractImages(*extractor_, set_of_images_.images, batch_size_, *group);
    if (!group->IsLeader()) return ExitCode::kDone;
    Write(extraction);
    return ExitCode::kDone;
  }

 private:
  void SetUp(const OptionSet& set) {
    for (const char* key : {"extractor_weights", "images", "output"}) set.Require(key);
    set_of_images_ = ReadImageSet(images_, key_);
    extractor_ = LoadFeatureExtractor(weights_, extraction_);
    CheckInceptionOptions(set, *extractor_);
    CheckTakes(*extractor_, set_of_images_.images, images_);
  }

  void Write(const Extraction& extraction) const {
    if (!at::isfinite(extraction.features).all().item<bool>()) {
      throw InputError("{}: the features of {} are not all finite; check the extractor's weights", weights_, images_);
    }
    const nlohmann::json provenance = ProvenanceOf(*extractor_, weights_, set_of_images_.images);
    NamedTensors tensors = {{"features", extraction.features}};
    if (extraction.logits.defined()) tensors["logits_unbiased"] = extraction.logits;
    std::map<std::string, std::string> metadata;
    for (const auto& [key, value] : provenance.items()) {
      metadata[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
    WriteSafetensors(output_, tensors, metadata);
    nlohmann::json result = provenance;
    result.update({{"output", output_},
                   {"images", images_},
                   {"extractor", weights_},
                   {"num_logits", extraction.logits.defined() ? extraction.logits.size(1) : 0}});
    PrintResult(result, json_);
  }

  ExtractorOptions extraction_;
  std::string weights_, images_, key_, output_;
  std::int64_t batch_size_ = 64, threads_ = 0;
  bool json_ = false;
  ImageSet set_of_images_;
  std::shared_ptr<FeatureExtractor> extractor_;
};

}  // namespace

std::unique_ptr<Command> MakeFeaturesCommand() { return std::make_unique<FeaturesCommand>(); }

}  // namespace lcsc
