#include "lcsc/model/bare_network.h"

#include <c10/core/InferenceMode.h>

#include "lcsc/base/error.h"
#include "lcsc/model/layers.h"

namespace lcsc {

NetworkDenoiser::NetworkDenoiser(std::shared_ptr<BareNetwork> network, const std::string& tensor_prefix,
                                 NoiseSchedule schedule)
    : network_(std::move(network)), schedule_(std::move(schedule)) {
  if (!tensor_prefix.empty()) {
    RegisterPath(*this, tensor_prefix.substr(0, tensor_prefix.size() - 1), network_);
    return;
  }
  // Its children become ours, so that their names begin with nothing.
  LCSC_CHECK(network_->parameters(/*recurse=*/false).empty() && network_->buffers(/*recurse=*/false).empty());
  for (const auto& child : network_->named_children()) register_module(child.key(), child.value());
}

void NetworkDenoiser::train(bool on) {
  Denoiser::train(on);
  network_->train(on);
}

at::Tensor NetworkDenoiser::NetworkOutput(const at::Tensor& x, const at::Tensor& time,
                                          const Conditioning& conditioning) const {
  const at::Tensor input = x.to(ActivationType(precision_));
  // Convolutions that need not change their layout, and a kernel for what is between them. A copy, for the strides of
  // images with one channel do not tell the two layouts apart.
  if (c10::InferenceMode::is_enabled() && input.is_cpu() && input.scalar_type() == at::kFloat) {
    const at::Tensor last = at::empty_like(input, input.options(), at::MemoryFormat::ChannelsLast).copy_(input);
    return network_->Forward(last, time, conditioning.labels).contiguous();
  }
  return network_->Forward(input, time, conditioning.labels).to(at::kFloat);
}

void SetPrecision(Denoiser& denoiser, Precision precision) {
  if (auto* network = dynamic_cast<NetworkDenoiser*>(&denoiser)) {
    network->set_precision(precision);
  } else if (precision != Precision::kFloat32) {
    throw ConfigError("precision: this kind of network computes in the type it was exported in; choose float32");
  }
}

}  // namespace lcsc
