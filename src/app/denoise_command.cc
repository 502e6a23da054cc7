#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <set>

#include "app/command.h"
#include "app/report.h"
#include "app/weights.h"
#include "lcsc/comm/group.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/model/bare_network.h"
#include "lcsc/model/threads.h"

namespace lcsc {
namespace {

constexpr std::int64_t kBatchSize = 32;

// What a network is to be asked, validated against it.
class Questions {
 public:
  Questions(const std::string& path, const Denoiser& network) : file_(OpenTensorFile(path)), path_(path) {
    const auto res = network.img_resolution();
    const at::Tensor given = ReadNumbers("x");
    const std::vector<std::int64_t> image = {network.img_channels(), res, res};
    if (given.dim() != 4 || given.size(0) < 1 || given.sizes().slice(1) != at::IntArrayRef(image)) {
      throw InputError("{}: tensor x: expected shape [n, {}, {}, {}] as the network's images have, found {}", path_,
                       image[0], res, res, ShapeText(given.sizes().vec()));
    }
    x = given.to(at::kFloat);
    if (file_->Contains("sigma") == file_->Contains("t")) {
      throw InputError("{}: expected either a tensor sigma (noise levels) or t (the network's own time), found {}",
                       path_, file_->Contains("t") ? "both" : "neither");
    }
    if (file_->Contains("sigma")) {
      sigma = ReadPerSample("sigma");
      if (sigma.le(0).any().item<bool>()) throw InputError("{}: tensor sigma: expected values above 0", path_);
    } else {
      t = ReadPerSample("t").to(at::kFloat);
    }
    ReadLabels(network.label_dim());
    ReadNamed();
  }

  std::int64_t size() const { return x.size(0); }
  Conditioning ConditioningOf(std::int64_t begin, std::int64_t count) const {
    Conditioning given(labels.defined() ? labels.narrow(0, begin, count) : at::Tensor());
    for (const auto& [name, tensor] : named_) given.tensors[name] = tensor.narrow(0, begin, count);
    return given;
  }

  at::Tensor x, sigma, t, labels;

 private:
  // Any real tensor of finite numbers.
  at::Tensor ReadNumbers(const std::string& name) const {
    const at::Tensor tensor = file_->Read(name);
    if (tensor.scalar_type() == at::kBool) {
      throw InputError("{}: tensor {}: expected numbers, found {}", path_, name, DataTypeName(DataTypeOf(tensor)));
    }
    if (!at::isfinite(tensor).all().item<bool>()) {
      throw InputError("{}: tensor {} has NaN or infinite values", path_, name);
    }
    return tensor;
  }

  // float64 [n]; one number serves all samples.
  at::Tensor ReadPerSample(const std::string& name) const {
    const at::Tensor given = ReadNumbers(name);
    if (given.dim() > 1 || (given.numel() != 1 && given.numel() != size())) {
      throw InputError("{}: tensor {}: expected shape [{}], one number for each of x, found {}", path_, name, size(),
                       ShapeText(given.sizes().vec()));
    }
    return given.to(at::kDouble).reshape(-1).expand({size()}).contiguous();
  }

  void ReadLabels(std::int64_t label_dim) {
    const bool one_hot = file_->Contains("class_labels"), indices = file_->Contains("y");
    if (one_hot && indices) throw InputError("{}: expected class_labels or y, found both", path_);
    if (!one_hot && !indices) return;
    const std::string name = one_hot ? "class_labels" : "y";
    const at::Tensor given = ReadNumbers(name);
    if (label_dim == 0 && given.numel() > 0) {
      throw InputError("{}: tensor {}: the network has no classes; remove the labels", path_, name);
    }
    if (label_dim == 0) return;
    labels = one_hot ? CheckedOneHot(given, label_dim) : OneHotOf(given, label_dim);
  }

  // A TorchScript network asks for them by name; others leave them alone.
  void ReadNamed() {
    static const std::set<std::string> known = {"x", "sigma", "t", "class_labels", "y"};
    for (const TensorEntry& entry : file_->entries()) {
      if (known.contains(entry.name) || entry.shape.empty() || entry.shape[0] != size()) continue;
      const at::Tensor tensor = file_->Read(entry.name);
      named_[entry.name] = tensor.is_floating_point() ? tensor.to(at::kFloat) : tensor;
    }
  }

  at::Tensor CheckedOneHot(const at::Tensor& given, std::int64_t label_dim) const {
    if (given.sizes() != at::IntArrayRef({size(), label_dim})) {
      throw InputError("{}: tensor class_labels: expected shape [{}, {}], found {}", path_, size(), label_dim,
                       ShapeText(given.sizes().vec()));
    }
    return given.to(at::kFloat);
  }

  at::Tensor OneHotOf(const at::Tensor& given, std::int64_t label_dim) const {
    if (given.sizes() != at::IntArrayRef({size()}) || given.is_floating_point()) {
      throw InputError("{}: tensor y: expected int64 [{}], found {} {}", path_, size(), DataTypeName(DataTypeOf(given)),
                       ShapeText(given.sizes().vec()));
    }
    const at::Tensor classes = given.to(at::kLong);
    const auto least = classes.min().item<std::int64_t>(), most = classes.max().item<std::int64_t>();
    if (least < 0 || most >= label_dim) {
      throw InputError("{}: tensor y: expected classes from 0 to {}, found {}", path_, label_dim - 1,
                       least < 0 ? least : most);
    }
    return at::one_hot(classes, label_dim).to(at::kFloat);
  }

  const std::unique_ptr<TensorFile> file_;
  const std::string& path_;
  NamedTensors named_;
};

// Everything the network says, by the names of the output file.
NamedTensors Answers(Denoiser& network, const Questions& questions) {
  const c10::InferenceMode no_gradients;
  auto* bare = dynamic_cast<NetworkDenoiser*>(&network);
  std::map<std::string, std::vector<at::Tensor>> batches;
  for (std::int64_t begin = 0; begin < questions.size(); begin += kBatchSize) {
    const std::int64_t count = std::min(kBatchSize, questions.size() - begin);
    const at::Tensor x = questions.x.narrow(0, begin, count);
    const Conditioning conditioning = questions.ConditioningOf(begin, count);
    if (questions.t.defined()) {
      const at::Tensor time = questions.t.narrow(0, begin, count);
      batches["network_output"].push_back(bare->NetworkOutput(x, time, conditioning));
      continue;
    }
    const Prediction prediction = network.Predict(x, questions.sigma.narrow(0, begin, count), conditioning);
    batches["denoised"].push_back(prediction.denoised);
    if (prediction.network_output.defined()) batches["network_output"].push_back(prediction.network_output);
  }
  NamedTensors answers;
  for (const auto& [name, parts] : batches) answers[name] = at::cat(parts);
  // ddim's network says nothing else.
  const bool predicts_noise = network.schedule().is_discrete() && answers.contains("network_output");
  if (predicts_noise && answers["network_output"].size(1) == network.img_channels()) {
    answers["eps"] = answers["network_output"];
  }
  return answers;
}

class DenoiseCommand : public Command {
 public:
  std::string name() const override { return "denoise"; }
  std::string summary() const override {
    return "applies a network to given inputs: what it computes, to compare with other code";
  }

  void AddOptions(OptionSet& set) override {
    weights_.AddOptions(set, "the network's weights");
    set.Add(
        {"", "inputs", "path",
         "tensors x [n, c, h, w], sigma [n] or the network's own time t [n], and for networks with classes "
         "class_labels (one-hot) or y (int64); for TorchScript networks also tensors [n, ...] by the names of their "
         "arguments"},
        &inputs_);
    set.Add({"", "output", "path",
             "the results, .safetensors: denoised and network_output; with t, network_output alone; eps where that is "
             "what the network predicts"},
            &output_);
    set.AddChoice({"", "precision", "", "type of the network's activations; its error against float32 is printed"},
                  &precision_, {"float32", "bf16", "f16"});
    AddJsonFlag(set, &json_);
  }

  ExitCode Run(const World& world, OptionSet& set) override {
    if (world.world_rank != 0) return ExitCode::kDone;
    for (const char* option : {"weights", "inputs", "output"}) set.Require(option);
    SetArithmeticThreads(ThreadsPerRank({}, 0));
    const auto network = weights_.Load();
    const Questions questions(inputs_, *network);
    CheckAnswerable(*network, questions);
    NamedTensors answers = Answers(*network, questions);
    double error = 0;
    if (precision_ != "float32") {
      const std::string compared = answers.contains("denoised") ? "denoised" : "network_output";
      const at::Tensor exact = answers.at(compared);
      SetPrecision(*network, PrecisionOf(precision_));
      answers = Answers(*network, questions);
      error = ((answers.at(compared) - exact).norm() / exact.norm()).item<double>();
    }
    for (const auto& [name, tensor] : answers) {
      if (!at::isfinite(tensor).all().item<bool>()) {
        throw InputError("{}: {} is not finite for some of {} in {}; check the weights and the inputs",
                         weights_.weights, name, inputs_, precision_);
      }
    }
    WriteSafetensors(output_, answers);
    Print(answers, questions.size(), error);
    return ExitCode::kDone;
  }

 private:
  void CheckAnswerable(const Denoiser& network, const Questions& questions) const {
    const auto* bare = dynamic_cast<const NetworkDenoiser*>(&network);
    if (questions.t.defined() && !bare) {
      throw InputError("{}: this kind of network has no time t of its own; give sigma", inputs_);
    }
    if (!bare || !bare->shape().needs_labels) return;
    const at::Tensor& labels = questions.labels;
    if (!labels.defined()) {
      throw InputError("{}: the network has {} classes; expected a tensor y (int64) or class_labels (one-hot)", inputs_,
                       network.label_dim());
    }
    if (!(labels.eq(1).sum(1).eq(1) & labels.ne(0).sum(1).eq(1)).all().item<bool>()) {
      throw InputError("{}: tensor class_labels: expected a single 1 in every row, zeros otherwise", inputs_);
    }
  }

  void Print(const NamedTensors& answers, std::int64_t samples, double error) const {
    nlohmann::json json = {{"weights", weights_.weights}, {"inputs", inputs_},
                           {"output", output_},           {"samples", samples},
                           {"precision", precision_},     {"tensors", nlohmann::json::array()}};
    for (const auto& answer : answers) json["tensors"].push_back(answer.first);
    if (precision_ != "float32") json["relative_error"] = error;
    PrintResult(json, json_);
  }

  WeightsOptions weights_;
  std::string inputs_, output_, precision_ = "float32";
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeDenoiseCommand() { return std::make_unique<DenoiseCommand>(); }

}  // namespace lcsc
