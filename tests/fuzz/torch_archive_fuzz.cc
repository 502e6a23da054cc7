#include "fuzz_target.h"
#include "lcsc/io/torch_archive.h"

namespace lcsc {
namespace {

void ReadEverything(const TensorFile& file) {
  for (const TensorEntry& entry : file.entries()) {
    // A header that is sound may belong to bytes that are not: the next tensor is read all the same.
    AllowRefusal([&] {
      const at::Tensor tensor = file.Read(entry.name);
      Expect(tensor.sizes() == at::IntArrayRef(entry.shape), "a tensor has the shape that the file's list gives");
      Expect(DataTypeOf(tensor) == entry.type, "a tensor has the type that the file's list gives");
      const std::int64_t middle = tensor.numel() / 2;
      const at::Tensor part = file.ReadElements(entry.name, {middle, tensor.numel()});
      Expect(part.sizes() == at::IntArrayRef({tensor.numel() - middle}),
             "a part of a tensor is a vector of its length");
    });
  }
}

}  // namespace
}  // namespace lcsc

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  const auto path = FileOf("input.pt", data, size);
  AllowRefusal([&] { ReadEverything(*OpenTensorFile(path)); });
  std::vector<StateDictPlace> places;
  AllowRefusal([&] {
    if (IsTorchArchive(path)) places = ListStateDicts(path);
  });
  constexpr std::size_t kMaxPlaces = 4;
  places.resize(std::min(places.size(), kMaxPlaces));
  for (const StateDictPlace& place : places) AllowRefusal([&] { ReadEverything(TorchArchive(path, place.key)); });
  return 0;
}
