// How a feature extractor is chosen and what it does with images.
#pragma once

#include <string>

#include "lcsc/config/option_set.h"

namespace lcsc {

struct ExtractorOptions {
  // auto (by the file's content), inception, digits, torchscript
  std::string kind = "auto";
  // Of the Inception; other extractors have a protocol of their own: tf1, pytorch-fid
  std::string protocol = "tf1";
  // Features of the Inception: 2048, 768, 192, 64
  std::string tap = "2048";
};

// Declares protocol and tap in this section ("" for flags of a command).
void AddExtractorOptions(OptionSet& set, const std::string& section, ExtractorOptions& options);

}  // namespace lcsc
