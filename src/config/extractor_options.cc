#include "lcsc/config/extractor_options.h"

namespace lcsc {

void AddExtractorOptions(OptionSet& set, const std::string& section, ExtractorOptions& options) {
  set.AddChoice({section, "protocol", "",
                 "how the Inception sees an image; tf1: TensorFlow 1's resize (EDM, ECT, torch-fidelity); "
                 "pytorch-fid: that tool's. Other extractors have one of their own",
                 /*identity=*/true},
                &options.protocol, {"tf1", "pytorch-fid"});
  set.AddChoice({section, "tap", "features",
                 "where the Inception's features are taken: 2048 is the FID's; 64, 192 and 768 are earlier layers",
                 /*identity=*/true},
                &options.tap, {"2048", "768", "192", "64"});
}

}  // namespace lcsc
