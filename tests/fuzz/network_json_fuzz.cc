// The first byte chooses: 'e' for a feature network's JSON, anything else for a denoiser's.
#include "fuzz_target.h"
#include "lcsc/model/registry.h"
#include "lcsc/model/weight_budget.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  // Keeps what is allowed small, so that many networks are made; the machine's own limit holds as well.
  constexpr std::int64_t kMaxElements = 1 << 20, kMaxTensors = 1000;
  if (size == 0) return 0;
  const auto json = nlohmann::json::parse(TextOf(data + 1, size - 1), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return 0;
  return AllowRefusal([&] {
    const WeightBudget budget({.elements = kMaxElements, .tensors = kMaxTensors});
    std::shared_ptr<torch::nn::Module> network;
    if (data[0] == 'e') {
      network = MakeFeatureExtractor(json);
    } else {
      network = MakeDenoiser(json);
    }
    std::int64_t elements = 0;
    for (const auto& [name, tensor] : StateDict(*network)) elements += tensor.numel();
    Expect(elements <= kMaxElements, "a network is not larger than its budget");
  });
}
