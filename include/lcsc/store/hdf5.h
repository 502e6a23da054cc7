// HDF5 without its traps: handles that close themselves, every call checked, sizes bounded before memory is asked for,
// no file locks (network file systems lack them), no error stacks on stderr.
// Threads: any, each with files of its own; their calls into the library, which knows no threads, wait for one another.
// Device: CPU.
#pragma once

#include <hdf5.h>

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace lcsc {

// Owns one HDF5 identifier of any kind.
class Hdf5Handle {
 public:
  Hdf5Handle() = default;
  explicit Hdf5Handle(hid_t id) : id_(id) {}
  ~Hdf5Handle();
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  hid_t get() const { return id_; }

 private:
  hid_t id_ = H5I_INVALID_HID;
};

// The file that a call is about. A failure while reading is the file's fault (InputError), while writing the system's
// (IoError).
struct Hdf5File {
  std::filesystem::path path;
  bool writing = false;
  Hdf5Handle handle{};
};

[[noreturn]] void FailHdf5(const char* expression, const Hdf5File& file);

// Held around every call into the library, and until its error is read.
std::recursive_mutex& Hdf5Mutex();

// The result of a call, unless it is negative: that is how HDF5 reports every failure.
template <std::invocable Call>
auto CheckHdf5(const Call& call, const char* expression, const Hdf5File& file) {
  const std::lock_guard lock(Hdf5Mutex());
  const std::signed_integral auto result = call();
  if (result < 0) FailHdf5(expression, file);
  return result;
}

#define LCSC_HDF5_CHECK(expression, file) ::lcsc::CheckHdf5([&] { return (expression); }, #expression, (file))

// Element types of the arrays that are read and written as raw bytes, without conversion.
enum class Hdf5Element {
  kFloat32,
  kFloat16,   // IEEE half; NumPy's float16
  kBFloat16,  // the upper half of a float32, stored as uint16
};

// A block of an array: `count` elements from `start` in every dimension.
struct Hdf5Block {
  std::vector<hsize_t> start, count;
};

template <typename Number>
struct Hdf5Array {
  std::vector<std::int64_t> shape;
  std::vector<Number> values;  // C order
};

// The types of plain arrays. Stored little-endian; a file of another type is refused, never converted.
template <typename Number>
concept Hdf5Number = std::same_as<Number, double> || std::same_as<Number, std::int64_t> ||
    std::same_as<Number, std::uint64_t> || std::same_as<Number, std::uint8_t>;

// A file's root, or a group in it. Keeps the file open. All reading methods throw InputError that names the file, the
// name in it, what was expected and found; all writing methods throw IoError.
class Hdf5Group {
 public:
  static Hdf5Group OpenFile(const std::filesystem::path& path);
  // Replaces a file that is there. Call Flush() at the end: a destructor cannot report a full disk.
  static Hdf5Group CreateFile(const std::filesystem::path& path);

  Hdf5Group OpenGroup(const std::string& name) const;
  Hdf5Group CreateGroup(const std::string& name);
  bool Contains(const std::string& name) const;
  const std::filesystem::path& path() const { return file_->path; }

  // Attributes: short facts, up to 60,000 bytes.
  void WriteTextAttribute(const std::string& name, const std::string& text);
  void WriteIntegerAttribute(const std::string& name, std::int64_t value);
  std::string ReadTextAttribute(const std::string& name) const;
  std::int64_t ReadIntegerAttribute(const std::string& name) const;

  // Texts of any length, UTF-8, without '\0' at their end: one dataset of fixed-length strings.
  void WriteTexts(const std::string& name, const std::vector<std::string>& texts);
  std::vector<std::string> ReadTexts(const std::string& name) const;

  // Arrays of numbers; an empty shape means one dimension.
  template <Hdf5Number Number>
  void Write(const std::string& name, std::span<const Number> values, const std::vector<std::int64_t>& shape = {});
  template <Hdf5Number Number>
  Hdf5Array<Number> Read(const std::string& name) const;

  // Large arrays, a block at a time: chunks of one row of at most 2^20 elements, uncompressed, no fill values.
  void CreateArray(const std::string& name, Hdf5Element element, const std::vector<std::int64_t>& shape);
  std::vector<std::int64_t> ShapeOf(const std::string& name) const;
  // source, destination: the block's elements in C order.
  void WriteBlock(const std::string& name, Hdf5Element element, const Hdf5Block& block, const void* source);
  void ReadBlock(const std::string& name, Hdf5Element element, const Hdf5Block& block, void* destination) const;

  // Hands everything to the operating system. Throws IoError when the disk is full.
  void Flush();

 private:
  friend std::string Hdf5Image(const std::filesystem::path& path, const std::function<void(Hdf5Group&)>& fill);
  Hdf5Group(std::shared_ptr<Hdf5File> file, Hdf5Handle group) : file_(std::move(file)), group_(std::move(group)) {}
  Hdf5Handle OpenDataset(const std::string& name) const;
  Hdf5Handle OpenAttribute(const std::string& name) const;
  Hdf5Handle CreateDataset(const std::string& name, hid_t type, const std::vector<std::int64_t>& shape);
  std::size_t TextBytes(const std::string& name, const Hdf5Handle& type) const;
  void CheckType(const std::string& name, const Hdf5Handle& dataset, hid_t expected) const;
  // The shape of a dataset whose elements can all be in this file.
  std::vector<std::int64_t> BoundedShape(const std::string& name, const Hdf5Handle& dataset,
                                         std::size_t element_bytes) const;

  std::shared_ptr<Hdf5File> file_;
  Hdf5Handle group_;
};

// The bytes of a small file that `fill` writes, in memory; `path` is where they will stand, for messages.
std::string Hdf5Image(const std::filesystem::path& path, const std::function<void(Hdf5Group&)>& fill);

// Publishes a small file atomically (base/atomic_file.h): `fill` writes it in memory, so that a full disk can never
// leave HDF5 with a half-written file.
void PublishHdf5(const std::filesystem::path& path, const std::function<void(Hdf5Group&)>& fill);

}  // namespace lcsc
