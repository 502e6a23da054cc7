// The number type in which a network's activations are held while it draws samples.
#pragma once

#include <ATen/ATen.h>

#include <string>

namespace lcsc {

enum class Precision { kFloat32, kBFloat16, kFloat16 };

// "float32", "bf16", "f16". Throws ConfigError for another word.
Precision PrecisionOf(const std::string& name);
at::ScalarType ActivationType(Precision precision);

// f(x) in x's own type. Where that is a 16-bit type and the device is the CPU, which lacks kernels for some of them, f
// gets x in float32 and its result is rounded: products summed in float32, as accelerators do, and one rounding a
// layer.
template <typename Function>
at::Tensor Rounded(const at::Tensor& x, Function f) {
  const at::ScalarType type = x.scalar_type();
  const bool emulated = x.is_cpu() && (type == at::kBFloat16 || type == at::kHalf);
  return emulated ? f(x.to(at::kFloat)).to(type) : f(x);
}

}  // namespace lcsc
