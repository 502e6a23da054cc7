#include "folded_conv.h"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <optional>

#include "lcsc/base/error.h"

namespace lcsc {
namespace {

// LibTorch's own fused convolution: weights laid out once for the processor, ReLU applied as results are stored. These
// operators have no C++ header; freezing a TorchScript module uses them in the same way.
struct FusedOperators {
  c10::OperatorHandle prepack, run;
};

const std::optional<FusedOperators>& Fused() {
  static const std::optional<FusedOperators> operators = []() -> std::optional<FusedOperators> {
    const auto prepack = c10::Dispatcher::singleton().findSchema({"mkldnn_prepacked::conv2d_prepack", ""});
    const auto run = c10::Dispatcher::singleton().findSchema({"mkldnn_prepacked::conv2d_run", ""});
    if (!at::globalContext().hasMKLDNN() || !prepack || !run) return std::nullopt;
    return FusedOperators{*prepack, *run};
  }();
  return operators;
}

c10::IValue Call(const c10::OperatorHandle& op, std::vector<c10::IValue> arguments) {
  op.callBoxed(&arguments);
  LCSC_CHECK(arguments.size() == 1);
  return std::move(arguments[0]);
}

std::vector<std::int64_t> Pair(const std::array<std::int64_t, 2>& values) { return {values[0], values[1]}; }

}  // namespace

FoldedConv::FoldedConv(const NormalisedConvWeights& weights, const ConvShape& shape, Finish finish)
    : shape_(shape), finish_(finish) {
  const at::Tensor scale =
      weights.gamma.to(at::kDouble) / (weights.running_variance.to(at::kDouble) + weights.eps).sqrt();
  const at::Tensor bias = weights.beta.to(at::kDouble) - weights.running_mean.to(at::kDouble) * scale;
  weight_ = weights.weight.contiguous(at::MemoryFormat::ChannelsLast) * scale.to(at::kFloat).view({-1, 1, 1, 1});
  bias_ = bias.to(at::kFloat).view({1, -1, 1, 1});
}

bool FoldedConv::IsFinite() const {
  return at::isfinite(weight_).all().item<bool>() && at::isfinite(bias_).all().item<bool>();
}

void FoldedConv::Prepack(const at::Tensor& x) {
  const bool relu = finish_ == Finish::kBiasAndRelu;
  const c10::IValue bias = relu ? c10::IValue(bias_.flatten()) : c10::IValue();
  const std::vector<std::int64_t> stride = {shape_.stride, shape_.stride}, dilation = {1, 1};
  prepacked_ = Call(Fused()->prepack, {weight_, bias, stride, Pair(shape_.padding), dilation, std::int64_t{1},
                                       x.sizes().vec(), std::string(relu ? "relu" : "none")});
  if (!keeps_weight_) weight_.reset();
}

at::Tensor FoldedConv::Run(const at::Tensor& x) {
  LCSC_CHECK(!x.requires_grad() || weight_.defined());
  if (x.is_cpu() && Fused() && !x.requires_grad()) {
    if (prepacked_.isNone()) Prepack(x);
    return Call(Fused()->run, {x, prepacked_}).toTensor();
  }
  const bool relu = finish_ == Finish::kBiasAndRelu;
  const std::vector<std::int64_t> stride = {shape_.stride, shape_.stride};
  const at::Tensor y =
      at::conv2d(x, weight_, relu ? bias_.flatten() : at::Tensor(), stride, Pair(shape_.padding), {1, 1}, 1);
  return relu ? y.relu_() : y;
}

}  // namespace lcsc
