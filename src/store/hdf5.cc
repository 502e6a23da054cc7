#include "lcsc/store/hdf5.h"

#include <algorithm>
#include <cstdlib>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"

namespace lcsc {
namespace fs = std::filesystem;

namespace {

constexpr hsize_t kMaxChunkElements = hsize_t{1} << 20;
constexpr std::size_t kMaxAttributeBytes = 60'000;
constexpr std::size_t kMemoryIncrementBytes = std::size_t{1} << 20;

herr_t KeepInnermost(unsigned depth, const H5E_error2_t* error, void* text) {
  if (depth == 0 && error->desc != nullptr) static_cast<std::string*>(text)->assign(error->desc);
  return 0;
}

// Errors go into exceptions, not onto stderr; locks are left to us, since network file systems may lack them; and the
// library must not tidy up at exit, where it would crash over whatever a full disk kept it from closing.
void PrepareLibrary() {
  const std::lock_guard lock(Hdf5Mutex());
  H5dont_atexit();
  ::setenv("HDF5_USE_FILE_LOCKING", "FALSE", /*replace=*/1);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Hdf5Handle TextType(std::size_t bytes, const Hdf5File& file) {
  Hdf5Handle type(LCSC_HDF5_CHECK(H5Tcopy(H5T_C_S1), file));
  LCSC_HDF5_CHECK(H5Tset_size(type.get(), std::max<std::size_t>(bytes, 1)), file);
  LCSC_HDF5_CHECK(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), file);
  LCSC_HDF5_CHECK(H5Tset_cset(type.get(), H5T_CSET_UTF8), file);
  return type;
}

// Chunks go straight to and from the disk: reading is faster so, and a full disk shows in the call that writes.
Hdf5Handle AccessWithoutChunkCache(const Hdf5File& file) {
  Hdf5Handle access(LCSC_HDF5_CHECK(H5Pcreate(H5P_FILE_ACCESS), file));
  LCSC_HDF5_CHECK(H5Pset_cache(access.get(), /*mdc_nelmts=*/0, /*rdcc_nslots=*/0, /*rdcc_nbytes=*/0, /*rdcc_w0=*/0),
                  file);
  return access;
}

template <typename Number>
hid_t NumberType() {
  if constexpr (std::same_as<Number, double>) return H5T_IEEE_F64LE;
  if constexpr (std::same_as<Number, std::int64_t>) return H5T_STD_I64LE;
  if constexpr (std::same_as<Number, std::uint64_t>) return H5T_STD_U64LE;
  if constexpr (std::same_as<Number, std::uint8_t>) return H5T_STD_U8LE;
}

Hdf5Handle ElementType(Hdf5Element element, const Hdf5File& file) {
  if (element == Hdf5Element::kBFloat16) return Hdf5Handle(LCSC_HDF5_CHECK(H5Tcopy(H5T_STD_U16LE), file));
  Hdf5Handle type(LCSC_HDF5_CHECK(H5Tcopy(H5T_IEEE_F32LE), file));
  if (element == Hdf5Element::kFloat32) return type;
  // IEEE half: sign bit 15, exponent of 5 bits from bit 10, mantissa of 10 bits.
  LCSC_HDF5_CHECK(H5Tset_fields(type.get(), 15, 10, 5, 0, 10), file);
  LCSC_HDF5_CHECK(H5Tset_size(type.get(), 2), file);
  LCSC_HDF5_CHECK(H5Tset_ebias(type.get(), 15), file);
  return type;
}

Hdf5Handle SpaceOf(const std::vector<hsize_t>& dims, const Hdf5File& file) {
  return Hdf5Handle(
      LCSC_HDF5_CHECK(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), /*maxdims=*/nullptr), file));
}

std::vector<hsize_t> DimsOf(const std::vector<std::int64_t>& shape) { return {shape.begin(), shape.end()}; }

std::string StripPadding(std::string text) {
  text.resize(text.find_last_not_of('\0') + 1);
  return text;
}

[[noreturn]] void Refuse(const Hdf5File& file, const std::string& name, const std::string& reason) {
  throw InputError("{}: \"{}\": {}; the file is damaged or of another kind, copy or make it again", file.path.string(),
                   name, reason);
}

// Ours are neither compressed, where a few bytes may stand for gigabytes, nor in another file.
void CheckStorage(const Hdf5File& file, const std::string& name, const Hdf5Handle& dataset) {
  const Hdf5Handle creation(LCSC_HDF5_CHECK(H5Dget_create_plist(dataset.get()), file));
  const bool is_plain = LCSC_HDF5_CHECK(H5Pget_nfilters(creation.get()), file) == 0 &&
                        LCSC_HDF5_CHECK(H5Pget_external_count(creation.get()), file) == 0 &&
                        LCSC_HDF5_CHECK(static_cast<int>(H5Pget_layout(creation.get())), file) != H5D_VIRTUAL;
  if (!is_plain) Refuse(file, name, "expected plain values, found compressed ones or those of another file");
}

}  // namespace

std::recursive_mutex& Hdf5Mutex() {
  // Never destroyed: handles may outlive it otherwise.
  static auto& mutex = *new std::recursive_mutex;
  return mutex;
}

Hdf5Handle::~Hdf5Handle() {
  if (id_ < 0) return;
  const std::lock_guard lock(Hdf5Mutex());
  H5Idec_ref(id_);
}

void FailHdf5(const char* expression, const Hdf5File& file) {
  std::string text = "unknown reason";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, KeepInnermost, &text);
  if (file.writing) {
    throw IoError("cannot write {}: {} ({}); free some space or choose another folder", file.path.string(), text,
                  expression);
  }
  throw InputError("cannot read {}: {} ({}); the file is damaged or of another kind, copy or make it again",
                   file.path.string(), text, expression);
}

Hdf5Group Hdf5Group::OpenFile(const fs::path& path) {
  PrepareLibrary();
  if (!fs::is_regular_file(path)) throw InputError("cannot read {}: no such file; check the path", path.string());
  auto file = std::make_shared<Hdf5File>(Hdf5File{.path = path, .writing = false});
  const Hdf5Handle access = AccessWithoutChunkCache(*file);
  file->handle = Hdf5Handle(LCSC_HDF5_CHECK(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), *file));
  Hdf5Handle root(LCSC_HDF5_CHECK(H5Gopen2(file->handle.get(), "/", H5P_DEFAULT), *file));
  return {std::move(file), std::move(root)};
}

Hdf5Group Hdf5Group::CreateFile(const fs::path& path) {
  PrepareLibrary();
  auto file = std::make_shared<Hdf5File>(Hdf5File{.path = path, .writing = true});
  const Hdf5Handle access = AccessWithoutChunkCache(*file);
  file->handle = Hdf5Handle(LCSC_HDF5_CHECK(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), *file));
  Hdf5Handle root(LCSC_HDF5_CHECK(H5Gopen2(file->handle.get(), "/", H5P_DEFAULT), *file));
  return {std::move(file), std::move(root)};
}

std::string Hdf5Image(const fs::path& path, const std::function<void(Hdf5Group&)>& fill) {
  PrepareLibrary();
  auto file = std::make_shared<Hdf5File>(Hdf5File{.path = path, .writing = true});
  const Hdf5Handle access(LCSC_HDF5_CHECK(H5Pcreate(H5P_FILE_ACCESS), *file));
  LCSC_HDF5_CHECK(H5Pset_fapl_core(access.get(), kMemoryIncrementBytes, /*backing_store=*/0), *file);
  file->handle = Hdf5Handle(LCSC_HDF5_CHECK(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), *file));
  Hdf5Handle root_handle(LCSC_HDF5_CHECK(H5Gopen2(file->handle.get(), "/", H5P_DEFAULT), *file));
  Hdf5Group root(file, std::move(root_handle));
  fill(root);
  root.Flush();
  const ssize_t bytes = LCSC_HDF5_CHECK(H5Fget_file_image(file->handle.get(), nullptr, 0), *file);
  std::string image(static_cast<std::size_t>(bytes), '\0');
  LCSC_HDF5_CHECK(H5Fget_file_image(file->handle.get(), image.data(), image.size()), *file);
  return image;
}

void PublishHdf5(const fs::path& path, const std::function<void(Hdf5Group&)>& fill) {
  PublishText(path, Hdf5Image(path, fill));
}

Hdf5Group Hdf5Group::OpenGroup(const std::string& name) const {
  return {file_, Hdf5Handle(LCSC_HDF5_CHECK(H5Gopen2(group_.get(), name.c_str(), H5P_DEFAULT), *file_))};
}

Hdf5Group Hdf5Group::CreateGroup(const std::string& name) {
  Hdf5Handle group(
      LCSC_HDF5_CHECK(H5Gcreate2(group_.get(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), *file_));
  return {file_, std::move(group)};
}

bool Hdf5Group::Contains(const std::string& name) const {
  return LCSC_HDF5_CHECK(H5Lexists(group_.get(), name.c_str(), H5P_DEFAULT), *file_) > 0;
}

void Hdf5Group::WriteTextAttribute(const std::string& name, const std::string& text) {
  LCSC_CHECK(text.size() <= kMaxAttributeBytes);
  const Hdf5Handle type = TextType(text.size(), *file_);
  const Hdf5Handle space(LCSC_HDF5_CHECK(H5Screate(H5S_SCALAR), *file_));
  const Hdf5Handle attribute(LCSC_HDF5_CHECK(
      H5Acreate2(group_.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), *file_));
  LCSC_HDF5_CHECK(H5Awrite(attribute.get(), type.get(), text.c_str()), *file_);
}

void Hdf5Group::WriteIntegerAttribute(const std::string& name, std::int64_t value) {
  const Hdf5Handle space(LCSC_HDF5_CHECK(H5Screate(H5S_SCALAR), *file_));
  const Hdf5Handle attribute(LCSC_HDF5_CHECK(
      H5Acreate2(group_.get(), name.c_str(), H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT), *file_));
  LCSC_HDF5_CHECK(H5Awrite(attribute.get(), H5T_NATIVE_INT64, &value), *file_);
}

Hdf5Handle Hdf5Group::OpenAttribute(const std::string& name) const {
  if (LCSC_HDF5_CHECK(H5Aexists(group_.get(), name.c_str()), *file_) == 0) {
    Refuse(*file_, name, "expected an attribute of this name, found none");
  }
  Hdf5Handle attribute(LCSC_HDF5_CHECK(H5Aopen(group_.get(), name.c_str(), H5P_DEFAULT), *file_));
  const Hdf5Handle space(LCSC_HDF5_CHECK(H5Aget_space(attribute.get()), *file_));
  if (LCSC_HDF5_CHECK(H5Sget_simple_extent_npoints(space.get()), *file_) != 1) {
    Refuse(*file_, name, "expected one value, found several");
  }
  return attribute;
}

std::string Hdf5Group::ReadTextAttribute(const std::string& name) const {
  const Hdf5Handle attribute = OpenAttribute(name);
  const Hdf5Handle type(LCSC_HDF5_CHECK(H5Aget_type(attribute.get()), *file_));
  const std::size_t bytes = TextBytes(name, type);
  std::string text(bytes, '\0');
  LCSC_HDF5_CHECK(H5Aread(attribute.get(), type.get(), text.data()), *file_);
  return StripPadding(std::move(text));
}

std::int64_t Hdf5Group::ReadIntegerAttribute(const std::string& name) const {
  const Hdf5Handle attribute = OpenAttribute(name);
  const Hdf5Handle type(LCSC_HDF5_CHECK(H5Aget_type(attribute.get()), *file_));
  if (LCSC_HDF5_CHECK(H5Tequal(type.get(), H5T_STD_I64LE), *file_) == 0) {
    Refuse(*file_, name, "expected a 64-bit integer, found another type");
  }
  std::int64_t value = 0;
  LCSC_HDF5_CHECK(H5Aread(attribute.get(), H5T_NATIVE_INT64, &value), *file_);
  return value;
}

// Bytes of a fixed-length string type that is not longer than the file.
std::size_t Hdf5Group::TextBytes(const std::string& name, const Hdf5Handle& type) const {
  const std::lock_guard lock(Hdf5Mutex());
  const bool is_fixed_text = H5Tget_class(type.get()) == H5T_STRING && H5Tis_variable_str(type.get()) == 0;
  const std::size_t bytes = H5Tget_size(type.get());
  if (!is_fixed_text || bytes > fs::file_size(file_->path)) {
    Refuse(*file_, name, "expected text of a fixed length, found another type");
  }
  return bytes;
}

void Hdf5Group::WriteTexts(const std::string& name, const std::vector<std::string>& texts) {
  std::size_t width = 1;
  for (const std::string& text : texts) width = std::max(width, text.size());
  std::string padded;
  for (const std::string& text : texts) padded += text + std::string(width - text.size(), '\0');
  const Hdf5Handle type = TextType(width, *file_);
  const Hdf5Handle dataset = CreateDataset(name, type.get(), {static_cast<std::int64_t>(texts.size())});
  if (texts.empty()) return;
  LCSC_HDF5_CHECK(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, padded.data()), *file_);
}

std::vector<std::string> Hdf5Group::ReadTexts(const std::string& name) const {
  const Hdf5Handle dataset = OpenDataset(name);
  const Hdf5Handle type(LCSC_HDF5_CHECK(H5Dget_type(dataset.get()), *file_));
  const std::size_t width = TextBytes(name, type);
  const std::vector<std::int64_t> shape = BoundedShape(name, dataset, width);
  if (shape.size() != 1) Refuse(*file_, name, "expected a list of texts, found another number of dimensions");
  std::vector<std::string> texts(static_cast<std::size_t>(shape[0]));
  if (texts.empty()) return texts;
  std::string padded(width * texts.size(), '\0');
  LCSC_HDF5_CHECK(H5Dread(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, padded.data()), *file_);
  for (std::size_t i = 0; i < texts.size(); ++i) texts[i] = StripPadding(padded.substr(i * width, width));
  return texts;
}

Hdf5Handle Hdf5Group::OpenDataset(const std::string& name) const {
  if (!Contains(name)) Refuse(*file_, name, "expected a dataset of this name, found none");
  Hdf5Handle dataset(LCSC_HDF5_CHECK(H5Dopen2(group_.get(), name.c_str(), H5P_DEFAULT), *file_));
  CheckStorage(*file_, name, dataset);
  return dataset;
}

Hdf5Handle Hdf5Group::CreateDataset(const std::string& name, hid_t type, const std::vector<std::int64_t>& shape) {
  const Hdf5Handle space = SpaceOf(DimsOf(shape), *file_);
  return Hdf5Handle(LCSC_HDF5_CHECK(
      H5Dcreate2(group_.get(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), *file_));
}

void Hdf5Group::CheckType(const std::string& name, const Hdf5Handle& dataset, hid_t expected) const {
  const Hdf5Handle type(LCSC_HDF5_CHECK(H5Dget_type(dataset.get()), *file_));
  if (LCSC_HDF5_CHECK(H5Tequal(type.get(), expected), *file_) == 0) Refuse(*file_, name, "unexpected element type");
}

std::vector<std::int64_t> Hdf5Group::BoundedShape(const std::string& name, const Hdf5Handle& dataset,
                                                  std::size_t element_bytes) const {
  const Hdf5Handle space(LCSC_HDF5_CHECK(H5Dget_space(dataset.get()), *file_));
  const int rank = LCSC_HDF5_CHECK(H5Sget_simple_extent_ndims(space.get()), *file_);
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  LCSC_HDF5_CHECK(H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr), *file_);
  hsize_t bytes = element_bytes;
  for (const hsize_t size : dims) {
    if (__builtin_mul_overflow(bytes, size, &bytes) || bytes > fs::file_size(file_->path)) {
      Refuse(*file_, name, fmt::format("shape [{}] does not fit into the file", fmt::join(dims, ", ")));
    }
  }
  return {dims.begin(), dims.end()};
}

template <Hdf5Number Number>
void Hdf5Group::Write(const std::string& name, std::span<const Number> values, const std::vector<std::int64_t>& shape) {
  const std::vector<std::int64_t> flat_shape{static_cast<std::int64_t>(values.size())};
  const std::vector<std::int64_t>& full_shape = shape.empty() ? flat_shape : shape;
  std::int64_t count = 1;
  for (const std::int64_t size : full_shape) count *= size;
  LCSC_CHECK(count == flat_shape[0]);
  const Hdf5Handle dataset = CreateDataset(name, NumberType<Number>(), full_shape);
  if (values.empty()) return;
  LCSC_HDF5_CHECK(H5Dwrite(dataset.get(), NumberType<Number>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), *file_);
}

template <Hdf5Number Number>
Hdf5Array<Number> Hdf5Group::Read(const std::string& name) const {
  const Hdf5Handle dataset = OpenDataset(name);
  CheckType(name, dataset, NumberType<Number>());
  Hdf5Array<Number> array{BoundedShape(name, dataset, sizeof(Number)), {}};
  std::int64_t count = 1;
  for (const std::int64_t size : array.shape) count *= size;
  array.values.resize(static_cast<std::size_t>(count));
  if (count == 0) return array;
  LCSC_HDF5_CHECK(H5Dread(dataset.get(), NumberType<Number>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, array.values.data()),
                  *file_);
  return array;
}

template void Hdf5Group::Write(const std::string&, std::span<const double>, const std::vector<std::int64_t>&);
template void Hdf5Group::Write(const std::string&, std::span<const std::int64_t>, const std::vector<std::int64_t>&);
template void Hdf5Group::Write(const std::string&, std::span<const std::uint64_t>, const std::vector<std::int64_t>&);
template void Hdf5Group::Write(const std::string&, std::span<const std::uint8_t>, const std::vector<std::int64_t>&);
template Hdf5Array<double> Hdf5Group::Read(const std::string&) const;
template Hdf5Array<std::int64_t> Hdf5Group::Read(const std::string&) const;
template Hdf5Array<std::uint64_t> Hdf5Group::Read(const std::string&) const;
template Hdf5Array<std::uint8_t> Hdf5Group::Read(const std::string&) const;

void Hdf5Group::CreateArray(const std::string& name, Hdf5Element element, const std::vector<std::int64_t>& shape) {
  const std::vector<hsize_t> dims = DimsOf(shape);
  std::vector<hsize_t> chunk(dims.size(), 1);
  chunk.back() = std::min(dims.back(), kMaxChunkElements);
  const Hdf5Handle creation(LCSC_HDF5_CHECK(H5Pcreate(H5P_DATASET_CREATE), *file_));
  LCSC_HDF5_CHECK(H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data()), *file_);
  LCSC_HDF5_CHECK(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER), *file_);
  const Hdf5Handle space = SpaceOf(dims, *file_);
  const Hdf5Handle type = ElementType(element, *file_);
  const Hdf5Handle dataset(LCSC_HDF5_CHECK(
      H5Dcreate2(group_.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
      *file_));
}

std::vector<std::int64_t> Hdf5Group::ShapeOf(const std::string& name) const {
  return BoundedShape(name, OpenDataset(name), 1);
}

void Hdf5Group::WriteBlock(const std::string& name, Hdf5Element element, const Hdf5Block& block, const void* source) {
  const Hdf5Handle dataset = OpenDataset(name);
  const Hdf5Handle type = ElementType(element, *file_);
  const Hdf5Handle memory_space = SpaceOf(block.count, *file_);
  const Hdf5Handle file_space(LCSC_HDF5_CHECK(H5Dget_space(dataset.get()), *file_));
  LCSC_HDF5_CHECK(H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, block.start.data(), /*stride=*/nullptr,
                                      block.count.data(), /*block=*/nullptr),
                  *file_);
  LCSC_HDF5_CHECK(H5Dwrite(dataset.get(), type.get(), memory_space.get(), file_space.get(), H5P_DEFAULT, source),
                  *file_);
}

void Hdf5Group::ReadBlock(const std::string& name, Hdf5Element element, const Hdf5Block& block,
                          void* destination) const {
  const Hdf5Handle dataset = OpenDataset(name);
  const Hdf5Handle type = ElementType(element, *file_);
  CheckType(name, dataset, type.get());
  const Hdf5Handle memory_space = SpaceOf(block.count, *file_);
  const Hdf5Handle file_space(LCSC_HDF5_CHECK(H5Dget_space(dataset.get()), *file_));
  LCSC_HDF5_CHECK(H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, block.start.data(), /*stride=*/nullptr,
                                      block.count.data(), /*block=*/nullptr),
                  *file_);
  LCSC_HDF5_CHECK(H5Dread(dataset.get(), type.get(), memory_space.get(), file_space.get(), H5P_DEFAULT, destination),
                  *file_);
}

void Hdf5Group::Flush() { LCSC_HDF5_CHECK(H5Fflush(file_->handle.get(), H5F_SCOPE_LOCAL), *file_); }

}  // namespace lcsc
