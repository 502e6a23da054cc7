#include "fuzz_target.h"
#include "lcsc/io/safetensors.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  return AllowRefusal([&] {
    const SafetensorsFile file(FileOf("input.safetensors", data, size));
    std::size_t bytes = 0;
    for (const TensorEntry& entry : file.entries()) {
      const at::Tensor tensor = file.Read(entry.name);
      Expect(tensor.sizes() == at::IntArrayRef(entry.shape), "a tensor has the shape that the header gives");
      Expect(DataTypeOf(tensor) == entry.type, "a tensor has the type that the header gives");
      bytes += tensor.nbytes();
    }
    Expect(bytes <= size, "the tensors are not larger than the file");
  });
}
