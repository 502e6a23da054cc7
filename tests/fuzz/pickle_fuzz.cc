// The bytes are a pickle: alone, and as the program of a torch.save archive whose zip is sound, which a fuzzer that
// knows no checksums would not find.
#include <zip.h>

#include "fuzz_target.h"
#include "lcsc/io/pickle_reader.h"
#include "lcsc/io/torch_archive.h"

namespace lcsc {
namespace {

constexpr std::string_view kStorage("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");

std::filesystem::path ArchiveOf(std::string_view pickle) {
  const auto path = FileOf("input.pt", nullptr, 0);
  int code = 0;
  zip_t* const archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  Expect(archive != nullptr, "an archive can be made");
  const auto add = [&](const char* name, std::string_view bytes) {
    const auto index = zip_file_add(archive, name, zip_source_buffer(archive, bytes.data(), bytes.size(), 0), 0);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
  };
  add("archive/data.pkl", pickle);
  add("archive/data/0", kStorage);
  add("archive/version", "3\n");
  Expect(zip_close(archive) == 0, "an archive can be written");
  return path;
}

}  // namespace
}  // namespace lcsc

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  const std::string_view bytes = TextOf(data, size);
  AllowRefusal([&] {
    const PickleTree tree = ReadPickle({bytes, "input"});
    Expect(tree.root < tree.values.size() && tree.num_bytes <= size, "a tree has its root, and no more than was given");
  });
  return AllowRefusal([&] {
    const TorchArchive archive(ArchiveOf(bytes));
    for (const TensorEntry& entry : archive.entries()) {
      Expect(archive.Read(entry.name).sizes() == at::IntArrayRef(entry.shape), "a tensor has the shape that is listed");
    }
  });
}
