#include <c10/core/InferenceMode.h>

#include <cstdio>

#include "app/command.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/table.h"
#include "lcsc/comm/group.h"
#include "lcsc/io/image_set.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/metric/frechet.h"
#include "lcsc/model/registry.h"
#include "lcsc/model/threads.h"

namespace lcsc {
namespace {

class ReferenceCommand : public Command {
 public:
  std::string name() const override { return "reference"; }
  std::string summary() const override {
    return "turns real images into the statistics that scores are measured against (.npz, readable by pytorch-fid)";
  }

  void AddOptions(OptionSet& set) override {
    set.Add({"", "images", "path", "the real images: .csv(.gz) digits, .npz (arr_0), a folder of PNG"}, &images_);
    set.Add({"", "extractor", "path", "weights of the feature extractor (.safetensors with its network JSON)"},
            &extractor_);
    set.Add({"", "output", "path", "the statistics: .npz with mu, sigma"}, &output_);
    set.Add({"", "batch_size", "images", "images that go through the extractor at once"}, &batch_size_, {1, 1000000});
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    if (world.world_rank != 0) return ExitCode::kDone;
    for (const char* key : {"images", "extractor", "output"}) set.Require(key);
    SetArithmeticThreads(ThreadsPerRank({}, 0));
    const c10::InferenceMode no_gradients;
    const ImageSet set_of_images = ReadImageSet(images_);
    const auto extractor = LoadFeatureExtractor(extractor_);
    FeatureStatistics statistics(extractor->feature_dim());
    const std::int64_t count = set_of_images.images.size(0);
    for (std::int64_t begin = 0; begin < count; begin += batch_size_) {
      statistics.Add(extractor->Features(set_of_images.images.slice(0, begin, std::min(begin + batch_size_, count))));
    }
    const nlohmann::json network = NetworkConfigOf(SafetensorsFile(extractor_));
    const nlohmann::json provenance = {{"protocol", network.value("model_type", std::string("unknown"))},
                                       {"extractor_digest", DigestOfFile(extractor_)},
                                       {"images_digest", DigestOf(BytesOf(set_of_images.images))},
                                       {"num_images", count}};
    WriteReference(output_, {GaussianOf(statistics), provenance.dump()});
    Table table({"what", "value"});
    table.AddRow({"reference", output_});
    table.AddRow({"images", fmt::format("{} of {}", count, images_)});
    table.AddRow({"features", fmt::format("{}", extractor->feature_dim())});
    table.AddRow({"extractor", extractor_});
    std::fputs(table.ToString().c_str(), stdout);
    return ExitCode::kDone;
  }

 private:
  static std::span<const std::byte> BytesOf(const at::Tensor& tensor) {
    return {static_cast<const std::byte*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.nbytes())};
  }

  std::string images_, extractor_, output_;
  std::int64_t batch_size_ = 250;
};

}  // namespace

std::unique_ptr<Command> MakeReferenceCommand() { return std::make_unique<ReferenceCommand>(); }

}  // namespace lcsc
