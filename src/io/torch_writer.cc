// What torch.save(OrderedDict) writes: a fixed pickle program of protocol 2, a storage for each tensor.
#include <array>
#include <bit>
#include <vector>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"
#include "lcsc/io/torch_archive.h"
#include "pickle_globals.h"
#include "zip_handle.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

constexpr const char* kFolder = "archive/";
// 1 January 1980, the first day that a zip can name: the same content gives the same bytes.
constexpr zip_uint16_t kEntryDosDate = 0x21;

class Program {
 public:
  void Bytes(std::string_view bytes) { text_ += bytes; }
  void Text(std::string_view text) {  // BINUNICODE
    text_ += 'X';
    Number(static_cast<std::uint32_t>(text.size()));
    text_ += text;
  }
  void Integer(std::int64_t value) {  // LONG1
    text_ += "\x8a\x08";
    Number(static_cast<std::uint64_t>(value));
  }
  void Integers(at::IntArrayRef values) {
    text_ += '(';
    for (const std::int64_t value : values) Integer(value);
    text_ += 't';
  }
  const std::string& text() const { return text_; }

 private:
  template <typename Unsigned>
  void Number(Unsigned value) {
    for (std::size_t i = 0; i < sizeof value; ++i) text_ += static_cast<char>(value >> 8 * i & 0xff);
  }
  std::string text_;
};

// _rebuild_tensor_v2(storage, 0, shape, strides, requires_grad=False, hooks=OrderedDict())
void AddTensor(Program& program, const std::string& key, const at::Tensor& tensor) {
  const std::string_view storage = StorageGlobal(DataTypeOf(tensor));
  program.Bytes("ctorch._utils\n_rebuild_tensor_v2\n((");
  program.Text("storage");
  program.Bytes(fmt::format("ctorch\n{}\n", storage.substr(storage.find('.') + 1)));
  program.Text(key);
  program.Text("cpu");
  program.Integer(tensor.numel());
  program.Bytes("tQ");
  program.Integer(0);
  program.Integers(tensor.sizes());
  program.Integers(tensor.strides());
  program.Bytes(
      "\x89"
      "ccollections\nOrderedDict\n)RtR");
}

std::string MakeProgram(const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  Program program;
  program.Bytes(
      "\x80\x02"
      "ccollections\nOrderedDict\n)R(");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    program.Text(tensors[i].first);
    AddTensor(program, std::to_string(i), tensors[i].second);
  }
  program.Bytes("u.");
  return program.text();
}

void AddEntry(zip_t* archive, const std::string& name, std::string_view bytes) {
  zip_source_t* const source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
  const zip_int64_t index =
      source == nullptr ? -1 : zip_file_add(archive, (kFolder + name).c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    throw IoError("cannot add {} to a torch.save archive: {}", name, zip_strerror(archive));
  }
  zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
  zip_file_set_dostime(archive, static_cast<zip_uint64_t>(index), 0, kEntryDosDate, 0);
}

}  // namespace

void WriteTorchArchive(const fs::path& path, const NamedTensors& tensors) {
  static_assert(std::endian::native == std::endian::little);
  std::vector<std::pair<std::string, at::Tensor>> contiguous;  // outlives the archive, which reads it when it is closed
  for (const auto& [name, tensor] : tensors) contiguous.emplace_back(name, tensor.detach().cpu().contiguous());
  const std::string program = MakeProgram(contiguous);
  PublishFile(path, [&](const fs::path& temporary) {
    int code = 0;
    ZipArchive archive(zip_open(temporary.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
    const auto fail = [&](const std::string& reason) {
      throw IoError("cannot write {}: {}; free some space or choose another folder", path.string(), reason);
    };
    if (!archive) fail(ZipErrorText(code));
    AddEntry(archive.get(), "data.pkl", program);
    AddEntry(archive.get(), "byteorder", "little");
    for (std::size_t i = 0; i < contiguous.size(); ++i) {
      const at::Tensor& tensor = contiguous[i].second;
      AddEntry(archive.get(), fmt::format("data/{}", i),
               {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()});
    }
    AddEntry(archive.get(), "version", "3\n");
    if (zip_close(archive.get()) != 0) fail(zip_strerror(archive.get()));
    static_cast<void>(archive.release());
  });
}

}  // namespace lcsc
