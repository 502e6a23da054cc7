#include "lcsc/model/image_scorer.h"

#include "lcsc/base/error.h"
#include "lcsc/io/tensor_table.h"
#include "script_arguments.h"
#include "script_module.h"

namespace lcsc {

struct ImageScorer::Script {
  torch::jit::Module module;
  ScriptArguments arguments;
};

ImageScorer::ImageScorer(const std::filesystem::path& file) : file_(file.string()) {
  torch::jit::Module module = LoadScriptModule(file);
  ScriptArguments arguments(module, {"images"}, file_);
  script_ = std::make_unique<Script>(Script{std::move(module), std::move(arguments)});
}

ImageScorer::~ImageScorer() = default;

std::vector<std::string> ImageScorer::conditioning_names() const { return script_->arguments.names(); }

at::Tensor ImageScorer::Scores(const at::Tensor& images, const Conditioning& conditioning) {
  const c10::IValue output = RunScriptModule(script_->module, {images}, script_->arguments.Named(conditioning), file_);
  const std::int64_t n = images.size(0);
  if (!output.isTensor() || output.toTensor().numel() != n || output.toTensor().dim() == 0 ||
      output.toTensor().size(0) != n) {
    throw InputError("{}: the scorer returned {} for {} images; expected one score for each, a tensor [{}]", file_,
                     output.isTensor() ? ShapeText(output.toTensor().sizes().vec()) : output.tagKind(), n, n);
  }
  return output.toTensor().reshape({n}).to(at::kFloat);
}

}  // namespace lcsc
