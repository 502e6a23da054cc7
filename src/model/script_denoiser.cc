#include "script_denoiser.h"

#include <algorithm>
#include <set>

#include "denoiser_families.h"
#include "lcsc/base/error.h"
#include "lcsc/io/tensor_file.h"
#include "lcsc/model/registry.h"
#include "script_arguments.h"
#include "script_module.h"

namespace lcsc {
namespace {

NoiseSchedule ReadProcess(JsonReader& json) {
  const bool is_discrete = json.GetChoice<bool>("process", {{"edm", false}, {"discrete", true}}, false);
  if (is_discrete) return ReadDiscreteSchedule(json, {});
  const double sigma_min = json.GetPositive("sigma_min", 0.002), sigma_max = json.GetPositive("sigma_max", 80.0);
  if (sigma_min >= sigma_max) {
    throw ConfigError("network JSON: expected 0 < sigma_min < sigma_max, found {} and {}", sigma_min, sigma_max);
  }
  return NoiseSchedule::Edm(sigma_min, sigma_max);
}

// The script's own tensors under the same names: what is written to one is what the script computes with.
void Mirror(const torch::jit::Module& script, torch::nn::Module& mirror) {
  for (const auto& parameter : script.named_parameters(/*recurse=*/false)) {
    mirror.register_parameter(parameter.name, parameter.value, parameter.value.requires_grad());
  }
  for (const auto& buffer : script.named_buffers(/*recurse=*/false)) {
    if (buffer.value.defined()) mirror.register_buffer(buffer.name, buffer.value);
  }
  for (const auto& child : script.named_children()) {
    Mirror(child.value, *mirror.register_module(child.name, std::make_shared<torch::nn::Module>()));
  }
}

}  // namespace

struct ScriptDenoiser::Options {
  std::string file;
  std::int64_t img_channels, img_resolution, label_dim;
  std::vector<std::string> frozen;
  NoiseSchedule schedule;
};

struct ScriptDenoiser::Script {
  torch::jit::Module module;
  ScriptArguments arguments;
  std::vector<ScriptAlias> aliases;
  std::set<std::string> buffers;
};

std::shared_ptr<ScriptDenoiser> ScriptDenoiser::FromJson(JsonReader& json) {
  json.Require<std::string>("model_type");
  auto options = std::make_unique<Options>(Options{.file = json.Require<std::string>("module"),
                                                   .img_channels = json.RequireCount("img_channels", 1),
                                                   .img_resolution = json.RequireCount("img_resolution", 1),
                                                   .label_dim = json.GetCount("label_dim", 0, 0),
                                                   .frozen = json.Get("frozen", std::vector<std::string>()),
                                                   .schedule = ReadProcess(json)});
  json.RefuseUnknownKeys();
  return std::shared_ptr<ScriptDenoiser>(new ScriptDenoiser(std::move(options)));
}

std::shared_ptr<Denoiser> MakeScriptDenoiser(JsonReader& json) { return ScriptDenoiser::FromJson(json); }

ScriptDenoiser::ScriptDenoiser(std::unique_ptr<Options> options) : options_(std::move(options)) {
  torch::jit::Module module = LoadScriptModule(options_->file);
  ScriptArguments arguments(module, {"x", "sigma"}, options_->file);
  Mirror(module, *this);
  std::vector<ScriptAlias> aliases = FindScriptAliases(module);
  script_ = std::make_unique<Script>(Script{std::move(module), std::move(arguments), std::move(aliases), {}});
  for (const auto& buffer : named_buffers()) script_->buffers.insert(buffer.key());
  CheckTensors();
}

ScriptDenoiser::~ScriptDenoiser() = default;

void ScriptDenoiser::CheckTensors() const {
  bool has_parameters = false;
  for (const auto& parameter : named_parameters()) {
    if (MayKeep(parameter.key())) continue;
    has_parameters = true;
    const at::ScalarType type = parameter.value().scalar_type();
    if (type == at::kFloat) continue;
    throw InputError("{}: parameter {} is {}; expected F32: export the module after module.float()", options_->file,
                     parameter.key(), DataTypeName(DataTypeOf(parameter.value())));
  }
  if (!has_parameters) {
    throw InputError("{}: the TorchScript module has no parameters that could be merged; export it without freezing it",
                     options_->file);
  }
}

bool ScriptDenoiser::MayKeep(const std::string& tensor) const {
  return script_->buffers.contains(tensor) ||
         std::ranges::any_of(options_->frozen, [&](const std::string& prefix) { return tensor.starts_with(prefix); });
}

at::Tensor ScriptDenoiser::Denoise(const at::Tensor& x, const at::Tensor& sigma, const Conditioning& conditioning) {
  const at::Tensor levels = sigma.to(at::kFloat).expand({x.size(0)}).contiguous();
  const c10::IValue output =
      RunScriptModule(script_->module, {x, levels}, script_->arguments.Named(conditioning), options_->file);
  if (!output.isTensor()) {
    throw InputError("{}: the module's forward returned {}; expected one tensor, the images", options_->file,
                     output.tagKind());
  }
  const at::Tensor images = output.toTensor();
  if (images.dim() != 4 || images.size(0) != x.size(0) || !images.is_floating_point()) {
    throw InputError("{}: the module's forward returned {} {}; expected floating-point images [{}, c, h, w]",
                     options_->file, at::toString(images.scalar_type()), ShapeText(images.sizes().vec()), x.size(0));
  }
  return images.to(at::kFloat);
}

const std::vector<ScriptAlias>& ScriptDenoiser::aliases() const { return script_->aliases; }
const std::string& ScriptDenoiser::file() const { return options_->file; }
std::vector<std::string> ScriptDenoiser::conditioning_names() const { return script_->arguments.names(); }
const NoiseSchedule& ScriptDenoiser::schedule() const { return options_->schedule; }
std::int64_t ScriptDenoiser::img_channels() const { return options_->img_channels; }
std::int64_t ScriptDenoiser::img_resolution() const { return options_->img_resolution; }
std::int64_t ScriptDenoiser::label_dim() const { return options_->label_dim; }

}  // namespace lcsc
