#include "fuzz_target.h"
#include "lcsc/metric/frechet.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  return AllowRefusal([&] {
    const ReferenceFile reference = ReadReference(FileOf("reference.npz", data, size));
    const at::Tensor& mean = reference.statistics.mean;
    const at::Tensor& covariance = reference.statistics.covariance;
    Expect(mean.dim() == 1 && covariance.sizes() == at::IntArrayRef({mean.size(0), mean.size(0)}),
           "mu is [d] and sigma is [d, d]");
    Expect(at::isfinite(mean).all().item<bool>() && at::isfinite(covariance).all().item<bool>(),
           "every number of a reference is finite");
  });
}
