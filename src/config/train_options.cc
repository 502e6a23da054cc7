#include "lcsc/config/train_options.h"

namespace lcsc {

void AddTrainOptions(OptionSet& set, TrainOptions& options) {
  const auto text = [](const char* name, const char* unit, const char* help) {
    return OptionText{"train", name, unit, help};
  };
  set.Add(text("images", "path", "labelled images: .csv(.gz) digits, .npz with arr_0 and arr_1"), &options.images);
  set.Add(text("network", "path", "file with the denoiser's network JSON"), &options.network);
  set.Add(text("output", "path", "folder for the extractor, the diffusion model and the checkpoints"), &options.output);
  set.Add(text("seed", "", "seed of initial weights, batches, noise levels and noise"), &options.seed,
          {0, std::numeric_limits<std::int64_t>::max()});
  set.Add(text("threads", "threads", "arithmetic threads; 0 is all cores"), &options.threads, {0, 4096});
}

}  // namespace lcsc
