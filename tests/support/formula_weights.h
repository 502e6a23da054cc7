// Weights given by a formula instead of a file: u in [-1, 1) from splitmix64(fnv1a64(name) + i) of element i.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lcsc {

inline std::uint64_t Fnv1a64(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

// The first output of the generator with this seed.
inline std::uint64_t SplitMix64(std::uint64_t seed) {
  std::uint64_t z = seed + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

// Weights of at least two dimensions: 1.3 u sqrt(3 / fan_in); running_var: 1 + u / 2; batch norm's weight: 1 + u / 5;
// all others: u / 10.
inline at::Tensor FormulaTensor(const std::string& name, const std::vector<std::int64_t>& shape) {
  const at::Tensor tensor = at::empty(shape, at::kFloat);
  double scale = 0.1, shift = 0;
  if (shape.size() >= 2) {
    scale = 1.3 * std::sqrt(3.0 / static_cast<double>(tensor.numel() / shape[0]));
  } else if (name.ends_with("running_var")) {
    scale = 0.5, shift = 1;
  } else if (name.ends_with("bn.weight")) {
    scale = 0.2, shift = 1;
  }
  const std::uint64_t seed = Fnv1a64(name);
  float* const values = tensor.data_ptr<float>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const std::uint64_t z = SplitMix64(seed + static_cast<std::uint64_t>(i));
    const double u = static_cast<double>(z >> 11) / 9007199254740992.0 * 2 - 1;
    values[i] = static_cast<float>(shift + scale * u);
  }
  return tensor;
}

// The FID Inception's tensors and their first values, as they were recorded: {name: {"shape", "first"}}.
inline nlohmann::json InceptionFormula() {
  return nlohmann::json::parse(std::ifstream(LCSC_SOURCE_DIR "/tests/data/inception.formula.json"));
}

// Its weights: 24 million numbers.
inline std::map<std::string, at::Tensor> InceptionFormulaWeights() {
  const nlohmann::json formula = InceptionFormula();
  std::map<std::string, at::Tensor> weights;
  for (const auto& [name, entry] : formula.items()) {
    weights[name] = FormulaTensor(name, entry["shape"].get<std::vector<std::int64_t>>());
  }
  return weights;
}

}  // namespace lcsc
