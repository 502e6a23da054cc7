#include "lcsc/model/inception.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "folded_conv.h"
#include "inception_input.h"
#include "lcsc/base/error.h"
#include "lcsc/model/registry.h"

namespace lcsc {
namespace {

constexpr std::int64_t kClasses = 1008, kFeatures = 2048;
constexpr double kBatchNormEps = 1e-3;
constexpr const char* kFirstConv = "Conv2d_1a_3x3";
// Images that go through the network at once: few enough that the largest activations (5.5 MB an image) are memory that
// the allocator keeps, instead of asking the system for it again each time.
constexpr std::int64_t kChunk = 4;

// ---- The architecture: every convolution with its batch norm, by name.

struct Unit {
  std::string name;
  ConvShape shape;
};
using Units = std::vector<Unit>;

ConvShape Point(std::int64_t in, std::int64_t out) { return {.in_channels = in, .out_channels = out}; }
// `side` x `side`, the size kept.
ConvShape Square(std::int64_t in, std::int64_t out, std::int64_t side) {
  return {.in_channels = in, .out_channels = out, .kernel = {side, side}, .padding = {side / 2, side / 2}};
}
ConvShape Unpadded3x3(std::int64_t in, std::int64_t out, std::int64_t stride) {
  return {.in_channels = in, .out_channels = out, .kernel = {3, 3}, .stride = stride};
}
ConvShape Row(std::int64_t in, std::int64_t out, std::int64_t length) {
  return {.in_channels = in, .out_channels = out, .kernel = {1, length}, .padding = {0, length / 2}};
}
ConvShape Column(std::int64_t in, std::int64_t out, std::int64_t length) {
  return {.in_channels = in, .out_channels = out, .kernel = {length, 1}, .padding = {length / 2, 0}};
}

Units UnitsA(std::int64_t in, std::int64_t pool) {
  return {{"branch1x1", Point(in, 64)},          {"branch5x5_1", Point(in, 48)},
          {"branch5x5_2", Square(48, 64, 5)},    {"branch3x3dbl_1", Point(in, 64)},
          {"branch3x3dbl_2", Square(64, 96, 3)}, {"branch3x3dbl_3", Square(96, 96, 3)},
          {"branch_pool", Point(in, pool)}};
}

Units UnitsB(std::int64_t in) {
  return {{"branch3x3", Unpadded3x3(in, 384, 2)},
          {"branch3x3dbl_1", Point(in, 64)},
          {"branch3x3dbl_2", Square(64, 96, 3)},
          {"branch3x3dbl_3", Unpadded3x3(96, 96, 2)}};
}

Units UnitsC(std::int64_t mid) {
  constexpr std::int64_t kIn = 768, kOut = 192;
  return {{"branch1x1", Point(kIn, kOut)},       {"branch7x7_1", Point(kIn, mid)},
          {"branch7x7_2", Row(mid, mid, 7)},     {"branch7x7_3", Column(mid, kOut, 7)},
          {"branch7x7dbl_1", Point(kIn, mid)},   {"branch7x7dbl_2", Column(mid, mid, 7)},
          {"branch7x7dbl_3", Row(mid, mid, 7)},  {"branch7x7dbl_4", Column(mid, mid, 7)},
          {"branch7x7dbl_5", Row(mid, kOut, 7)}, {"branch_pool", Point(kIn, kOut)}};
}

Units UnitsD() {
  return {{"branch3x3_1", Point(768, 192)},       {"branch3x3_2", Unpadded3x3(192, 320, 2)},
          {"branch7x7x3_1", Point(768, 192)},     {"branch7x7x3_2", Row(192, 192, 7)},
          {"branch7x7x3_3", Column(192, 192, 7)}, {"branch7x7x3_4", Unpadded3x3(192, 192, 2)}};
}

Units UnitsE(std::int64_t in) {
  return {{"branch1x1", Point(in, 320)},         {"branch3x3_1", Point(in, 384)},
          {"branch3x3_2a", Row(384, 384, 3)},    {"branch3x3_2b", Column(384, 384, 3)},
          {"branch3x3dbl_1", Point(in, 448)},    {"branch3x3dbl_2", Square(448, 384, 3)},
          {"branch3x3dbl_3a", Row(384, 384, 3)}, {"branch3x3dbl_3b", Column(384, 384, 3)},
          {"branch_pool", Point(in, 192)}};
}

Units AllUnits() {
  Units all = {{kFirstConv, Unpadded3x3(3, 32, 2)},
               {"Conv2d_2a_3x3", Unpadded3x3(32, 32, 1)},
               {"Conv2d_2b_3x3", Square(32, 64, 3)},
               {"Conv2d_3b_1x1", Point(64, 80)},
               {"Conv2d_4a_3x3", Unpadded3x3(80, 192, 1)}};
  const std::vector<std::pair<std::string, Units>> blocks = {
      {"Mixed_5b", UnitsA(192, 32)}, {"Mixed_5c", UnitsA(256, 64)}, {"Mixed_5d", UnitsA(288, 64)},
      {"Mixed_6a", UnitsB(288)},     {"Mixed_6b", UnitsC(128)},     {"Mixed_6c", UnitsC(160)},
      {"Mixed_6d", UnitsC(160)},     {"Mixed_6e", UnitsC(192)},     {"Mixed_7a", UnitsD()},
      {"Mixed_7b", UnitsE(1280)},    {"Mixed_7c", UnitsE(2048)}};
  for (const auto& [block, units] : blocks) {
    for (const Unit& unit : units) all.push_back({block + "." + unit.name, unit.shape});
  }
  return all;
}

// These are averaged before the convolution, which may as well come first: both are linear, and the average of fewer
// channels is cheaper.
bool IsAveraged(const std::string& unit) { return unit.ends_with(".branch_pool") && unit != "Mixed_7c.branch_pool"; }

// ---- Its state dict, as a module without a forward: what given tensors are compared with.

torch::nn::Module& Child(torch::nn::Module& parent, const std::string& name) {
  const auto children = parent.named_children();
  const auto* const found = children.find(name);
  return found != nullptr ? **found : *parent.register_module(name, std::make_shared<torch::nn::Module>());
}

void RegisterUnit(torch::nn::Module& root, const Unit& unit) {
  const std::size_t dot = unit.name.find('.');
  torch::nn::Module& block = Child(root, unit.name.substr(0, dot));
  torch::nn::Module& leaf = dot == std::string::npos ? block : Child(block, unit.name.substr(dot + 1));
  const ConvShape& shape = unit.shape;
  Child(leaf, "conv")
      .register_buffer("weight", at::empty({shape.out_channels, shape.in_channels, shape.kernel[0], shape.kernel[1]}));
  for (const char* const name : {"weight", "bias", "running_mean", "running_var"}) {
    Child(leaf, "bn").register_buffer(name, at::empty({shape.out_channels}));
  }
}

// The tensors in float32, once they are all there.
NamedTensors CheckedWeights(NamedTensors given, const std::string& source) {
  std::erase_if(given, [](const auto& item) { return item.first.ends_with(".bn.num_batches_tracked"); });
  torch::nn::Module root;
  for (const Unit& unit : AllUnits()) RegisterUnit(root, unit);
  Child(root, "fc").register_buffer("weight", at::empty({kClasses, kFeatures}));
  Child(root, "fc").register_buffer("bias", at::empty({kClasses}));
  LoadStateDict(root, given, source);
  return StateDict(root);
}

at::Tensor MaxPool(const at::Tensor& x) { return at::max_pool2d(x, {3, 3}, {2, 2}); }

}  // namespace

Inception::Inception(NamedTensors tensors, const std::string& source, const InceptionOptions& options)
    : options_(options) {
  const NamedTensors weights = CheckedWeights(std::move(tensors), source);
  for (const Unit& unit : AllUnits()) {
    const std::string norm = unit.name + ".bn.";
    const NormalisedConvWeights folded = {.weight = weights.at(unit.name + ".conv.weight"),
                                          .gamma = weights.at(norm + "weight"),
                                          .beta = weights.at(norm + "bias"),
                                          .running_mean = weights.at(norm + "running_mean"),
                                          .running_variance = weights.at(norm + "running_var"),
                                          .eps = kBatchNormEps};
    const Finish finish = IsAveraged(unit.name) ? Finish::kNothing : Finish::kBiasAndRelu;
    auto conv = std::make_unique<FoldedConv>(folded, unit.shape, finish);
    if (!conv->IsFinite()) {
      throw InputError(
          "{}: the tensors {}.conv.weight and {}* do not make a finite convolution; the file is damaged, copy it again",
          source, unit.name, norm);
    }
    convs_[unit.name] = std::move(conv);
  }
  class_weight_ = weights.at("fc.weight");
}

Inception::~Inception() = default;

bool Inception::IsInception(const TensorFile& file) { return file.Contains(std::string(kFirstConv) + ".conv.weight"); }

std::string Inception::protocol() const { return options_.protocol == InceptionProtocol::kTf1 ? "tf1" : "pytorch-fid"; }

at::Tensor Inception::Convolve(const std::string& name, const at::Tensor& x) { return convs_.at(name)->Run(x); }

// prefix1, prefix2, ...: one behind the other.
at::Tensor Inception::Chain(const std::string& prefix, int length, at::Tensor x) {
  for (int i = 1; i <= length; ++i) x = Convolve(prefix + std::to_string(i), x);
  return x;
}

// relu(conv(average of 3 x 3 without the padding) + bias)
at::Tensor Inception::AveragedConvolve(const std::string& name, const at::Tensor& x) {
  const FoldedConv& conv = *convs_.at(name);
  const at::Tensor y = at::avg_pool2d(Convolve(name, x), {3, 3}, {1, 1}, {1, 1}, /*ceil_mode=*/false,
                                      /*count_include_pad=*/false);
  return y.add_(conv.bias()).relu_();
}

at::Tensor Inception::MixedA(const std::string& name, const at::Tensor& x) {
  return at::cat({Convolve(name + ".branch1x1", x), Chain(name + ".branch5x5_", 2, x),
                  Chain(name + ".branch3x3dbl_", 3, x), AveragedConvolve(name + ".branch_pool", x)},
                 1);
}

at::Tensor Inception::MixedB(const std::string& name, const at::Tensor& x) {
  return at::cat({Convolve(name + ".branch3x3", x), Chain(name + ".branch3x3dbl_", 3, x), MaxPool(x)}, 1);
}

at::Tensor Inception::MixedC(const std::string& name, const at::Tensor& x) {
  return at::cat({Convolve(name + ".branch1x1", x), Chain(name + ".branch7x7_", 3, x),
                  Chain(name + ".branch7x7dbl_", 5, x), AveragedConvolve(name + ".branch_pool", x)},
                 1);
}

at::Tensor Inception::MixedD(const std::string& name, const at::Tensor& x) {
  return at::cat({Chain(name + ".branch3x3_", 2, x), Chain(name + ".branch7x7x3_", 4, x), MaxPool(x)}, 1);
}

at::Tensor Inception::MixedE(const std::string& name, const at::Tensor& x, bool max_pool) {
  const at::Tensor middle = Convolve(name + ".branch3x3_1", x);
  const at::Tensor doubled = Chain(name + ".branch3x3dbl_", 2, x);
  const std::string pool = name + ".branch_pool";
  const at::Tensor pooled =
      max_pool ? Convolve(pool, at::max_pool2d(x, {3, 3}, {1, 1}, {1, 1})) : AveragedConvolve(pool, x);
  return at::cat({Convolve(name + ".branch1x1", x), Convolve(name + ".branch3x3_2a", middle),
                  Convolve(name + ".branch3x3_2b", middle), Convolve(name + ".branch3x3dbl_3a", doubled),
                  Convolve(name + ".branch3x3dbl_3b", doubled), pooled},
                 1);
}

// x: the network's input. Returns the tap's activations [n, tap, h, w].
at::Tensor Inception::Activations(at::Tensor x) {
  for (const char* const name : {kFirstConv, "Conv2d_2a_3x3", "Conv2d_2b_3x3"}) x = Convolve(name, x);
  x = MaxPool(x);
  if (options_.tap == InceptionTap::kFirstPool) return x;
  for (const char* const name : {"Conv2d_3b_1x1", "Conv2d_4a_3x3"}) x = Convolve(name, x);
  x = MaxPool(x);
  if (options_.tap == InceptionTap::kSecondPool) return x;
  for (const char* const name : {"Mixed_5b", "Mixed_5c", "Mixed_5d"}) x = MixedA(name, x);
  x = MixedB("Mixed_6a", x);
  for (const char* const name : {"Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"}) x = MixedC(name, x);
  if (options_.tap == InceptionTap::kPreAux) return x;
  x = MixedD("Mixed_7a", x);
  x = MixedE("Mixed_7b", x, /*max_pool=*/false);
  return MixedE("Mixed_7c", x, /*max_pool=*/true);
}

at::Tensor Inception::Features(const at::Tensor& images) {
  const bool sound = images.dim() == 4 && (images.scalar_type() == at::kByte || images.is_floating_point()) &&
                     images.numel() > 0 && (images.size(1) == 3 || images.size(1) == 1);
  if (!sound) {
    throw InputError("the Inception expects uint8 images [n, 3, h, w] or [n, 1, h, w], found {} {}",
                     c10::toString(images.scalar_type()), ShapeText(images.sizes().vec()));
  }
  std::vector<at::Tensor> features;
  for (std::int64_t begin = 0; begin < images.size(0); begin += kChunk) {
    const std::int64_t end = std::min(begin + kChunk, images.size(0));
    const at::Tensor x = InceptionInput(images.slice(0, begin, end), options_.protocol);
    features.push_back(Activations(x).mean({2, 3}));
  }
  return at::cat(features);
}

void Inception::PrepareGradients() {
  for (const auto& [name, conv] : convs_) conv->PrepareGradients();
}

Extraction Inception::Extract(const at::Tensor& images) {
  const at::Tensor features = Features(images);
  if (options_.tap != InceptionTap::kFinal) return {features, {}};
  return {features, at::mm(features, class_weight_.t())};
}

}  // namespace lcsc
