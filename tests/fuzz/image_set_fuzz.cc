// The first byte chooses the kind of file.
#include "fuzz_target.h"
#include "lcsc/io/image_set.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  if (size == 0) return 0;
  const char* const name = data[0] == 'n' ? "input.npz" : "input.csv.gz";
  return AllowRefusal([&] {
    const ImageSet set = ReadImageSet(FileOf(name, data + 1, size - 1));
    Expect(set.images.dim() == 4 && set.images.scalar_type() == at::kByte, "images are uint8 [n, c, h, w]");
    Expect(!set.labels.defined() || set.labels.numel() == set.images.size(0), "each image has its label");
  });
}
