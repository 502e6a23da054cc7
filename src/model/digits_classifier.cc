#include "lcsc/model/digits_classifier.h"

#include <cmath>

#include "lcsc/base/error.h"
#include "lcsc/io/tensor_table.h"

namespace lcsc {

DigitsClassifier::DigitsClassifier(const DigitsClassifierOptions& options) : options_(options) {
  if (options.img_resolution < 2 || options.img_resolution % 2 != 0) {
    throw ConfigError("DigitsClassifier: img_resolution is {}; expected an even number", options.img_resolution);
  }
  const WeightInit init = {.mode = InitMode::kKaimingUniform, .scale = std::sqrt(2.0)};
  const std::int64_t narrow = options.channels, wide = 2 * options.channels, side = options.img_resolution / 2;
  const auto add_conv = [&](const char* name, const Conv2dOptions& conv) {
    return register_module(name, std::make_shared<Conv2d>(conv));
  };
  const auto add_linear = [&](const char* name, const LinearOptions& linear) {
    return register_module(name, std::make_shared<Linear>(linear));
  };
  conv0_ = add_conv("conv0", {.in_channels = options.img_channels, .out_channels = narrow, .init = init});
  conv1_ = add_conv("conv1", {.in_channels = narrow, .out_channels = wide, .resample = Resample::kDown, .init = init});
  conv2_ = add_conv("conv2", {.in_channels = wide, .out_channels = wide, .init = init});
  feature_ = add_linear("feature", {wide * side * side, options.feature_dim, true, init});
  logit_ = add_linear("logit", {options.feature_dim, options.num_classes, true, {.mode = InitMode::kKaimingUniform}});
}

at::Tensor DigitsClassifier::Features(const at::Tensor& images) {
  const std::int64_t side = options_.img_resolution;
  const bool sound_type = images.scalar_type() == at::kByte || images.is_floating_point();
  if (!sound_type || images.dim() != 4 ||
      images.sizes().slice(1) != at::IntArrayRef({options_.img_channels, side, side})) {
    throw InputError(
        "the feature network expects uint8 images [n, {0}, {1}, {1}], found {2} {3}; use images of that "
        "size or another feature network",
        options_.img_channels, side, at::toString(images.scalar_type()), ShapeText(images.sizes().vec()));
  }
  at::Tensor x = SiluInto(conv0_->Forward((images.is_floating_point() ? images : images.to(at::kFloat)) / 127.5 - 1));
  if (x.is_cpu()) x = x.contiguous(at::MemoryFormat::ChannelsLast);
  x = SiluInto(conv1_->Forward(x));
  x = SiluInto(conv2_->Forward(x));
  return SiluInto(feature_->Forward(x.flatten(1)));
}

Extraction DigitsClassifier::Extract(const at::Tensor& images) {
  const at::Tensor features = Features(images);
  return {features, logit_->Forward(features)};
}

at::Tensor DigitsClassifier::Logits(const at::Tensor& images) { return logit_->Forward(Features(images)); }

}  // namespace lcsc
