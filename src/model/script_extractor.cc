#include "script_extractor.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "lcsc/base/error.h"
#include "lcsc/io/tensor_table.h"

namespace lcsc {
namespace {

constexpr const char* kFeatureDim = "feature_dim";
constexpr const char* kReturnFeatures = "return_features";
// Sides of the images that a module of unknown size is tried with: the usual data sets' and networks'.
constexpr std::int64_t kUsualSides[] = {64, 32, 28, 8, 16, 128, 224, 256, 299, 512};

// float32 [n, d] or an error.
at::Tensor CheckedMatrix(const c10::IValue& value, std::int64_t rows, const std::string& what) {
  if (!value.isTensor()) throw InputError("{}: expected a tensor, found {}", what, value.tagKind());
  const at::Tensor tensor = value.toTensor();
  if (tensor.dim() != 2 || tensor.size(0) != rows || tensor.size(1) < 1 || !tensor.is_floating_point()) {
    throw InputError("{}: expected floating-point numbers [{}, d], found {} {}", what, rows,
                     c10::toString(tensor.scalar_type()), ShapeText(tensor.sizes().vec()));
  }
  return tensor.to(at::kFloat);
}

}  // namespace

ScriptExtractor::ScriptExtractor(const std::filesystem::path& path)
    : source_(path.string()), script_(LoadScriptModule(path)) {
  const std::vector<std::string> arguments = ForwardArguments(script_);
  if (arguments.empty()) {
    throw InputError("{}: expected a TorchScript module with forward(images), found none that takes images", source_);
  }
  if (std::ranges::count(arguments, kReturnFeatures) > 0) named_arguments_[kReturnFeatures] = true;
  feature_dim_ = FindFeatureDim();
}

std::int64_t ScriptExtractor::FindFeatureDim() {
  if (script_.hasattr(kFeatureDim) && script_.attr(kFeatureDim).isInt()) return script_.attr(kFeatureDim).toInt();
  const c10::InferenceMode no_gradients;
  std::string first_failure;
  for (const std::int64_t side : kUsualSides) {
    try {
      return Call(at::zeros({1, 3, side, side}, at::kByte)).features.size(1);
    } catch (const InputError& error) {
      if (first_failure.empty()) first_failure = error.what();
    }
  }
  throw InputError(
      "{} (with a black image of {} x {}; no other usual size did better). Expected forward(images) to take "
      "uint8 [n, 3, h, w] and to return features [n, d]; for a size of its own, export it with an integer "
      "attribute {}",
      first_failure, kUsualSides[0], kUsualSides[0], kFeatureDim);
}

Extraction ScriptExtractor::Call(const at::Tensor& images) {
  const c10::IValue returned = RunScriptModule(script_, {images}, named_arguments_, source_);
  const std::string what = source_ + ": what forward returned";
  if (!returned.isTuple()) return {CheckedMatrix(returned, images.size(0), what), {}};
  const auto& elements = returned.toTupleRef().elements();
  if (elements.size() != 2) {
    throw InputError("{}: expected features or (features, logits), found a tuple of {}", what, elements.size());
  }
  return {CheckedMatrix(elements[0], images.size(0), what), CheckedMatrix(elements[1], images.size(0), what)};
}

Extraction ScriptExtractor::Extract(const at::Tensor& images) {
  const bool sound = images.dim() == 4 && (images.scalar_type() == at::kByte || images.is_floating_point()) &&
                     images.numel() > 0 && (images.size(1) == 3 || images.size(1) == 1);
  if (!sound) {
    throw InputError("{}: a TorchScript extractor takes uint8 images [n, 3, h, w] or [n, 1, h, w], found {} {}",
                     source_, c10::toString(images.scalar_type()), ShapeText(images.sizes().vec()));
  }
  Extraction extraction = Call(images.expand({-1, 3, -1, -1}).contiguous());
  if (extraction.features.size(1) != feature_dim_) {
    throw InputError("{}: expected {} features, found {}; an extractor must give as many for every image", source_,
                     feature_dim_, extraction.features.size(1));
  }
  return extraction;
}

}  // namespace lcsc
