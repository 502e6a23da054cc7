#include "fuzz_target.h"
#include "lcsc/io/png.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  return AllowRefusal([&] {
    const at::Tensor image = ReadPng(FileOf("input.png", data, size));
    Expect(image.dim() == 3 && image.scalar_type() == at::kByte, "an image is uint8 [c, h, w]");
    Expect(image.size(0) == 1 || image.size(0) == 3, "an image has one channel or three");
  });
}
