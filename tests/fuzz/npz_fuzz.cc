#include "fuzz_target.h"
#include "lcsc/io/npz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  constexpr std::int64_t kMaxBytes = 1 << 26;
  const auto path = FileOf("input.npz", data, size);
  std::vector<NpzEntry> entries;
  AllowRefusal([&] { entries = DescribeNpz(path); });
  for (const NpzEntry& entry : entries) {
    AllowRefusal([&] {
      const at::Tensor array = ReadNpz(path, {entry.name}, kMaxBytes).at(entry.name);
      Expect(array.sizes() == at::IntArrayRef(entry.shape), "an array has the shape that its header gives");
      Expect(array.nbytes() <= kMaxBytes, "an array is not larger than the caller allows");
    });
    AllowRefusal([&] { ReadNpzText(path, entry.name); });
  }
  return 0;
}
