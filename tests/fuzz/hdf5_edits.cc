#include "hdf5_edits.h"

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "lcsc/store/hdf5.h"

namespace lcsc {
namespace {

constexpr int kMostEdits = 64;
constexpr std::size_t kMostValueBytes = std::size_t{1} << 20;  // larger datasets keep their fill values
constexpr std::uint8_t kByName = 255, kNoShape = 255;
constexpr std::uint8_t kFixedText = 0;  // the first of the types

// Takes operands from the front.
class Operands {
 public:
  explicit Operands(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }

  std::uint64_t TakeNumber(int num_bytes) {
    std::uint64_t number = 0;
    for (int i = 0; i < num_bytes && !rest_.empty(); ++i) {
      number |= std::uint64_t{static_cast<std::uint8_t>(rest_.front())} << (8 * i);
      rest_.remove_prefix(1);
    }
    return number;
  }

  std::string TakeText() {
    const std::string text(rest_.substr(0, TakeNumber(1)));
    rest_.remove_prefix(text.size());
    return text;
  }

 private:
  std::string_view rest_;
};

enum class Layout { kContiguous, kCompact, kChunked, kCompressed, kElsewhere, kNumLayouts };

struct Dataset {
  Hdf5Handle type, space;
  Layout layout = Layout::kContiguous;
  std::string values;  // raw, in `type`; "": fill values
};

Hdf5Handle FixedText(Operands& operands) {
  const std::uint64_t bytes = operands.TakeNumber(2);
  Hdf5Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), std::max<std::uint64_t>(bytes, 1));
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

Hdf5Handle VariableText() {
  Hdf5Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), H5T_VARIABLE);
  return type;
}

Hdf5Handle ArrayOfIntegers() {
  const hsize_t length = 3;
  return Hdf5Handle(H5Tarray_create2(H5T_STD_I64LE, 1, &length));
}

Hdf5Handle Compound() {
  Hdf5Handle type(H5Tcreate(H5T_COMPOUND, 16));
  H5Tinsert(type.get(), "a", 0, H5T_STD_I64LE);
  H5Tinsert(type.get(), "b", 8, H5T_IEEE_F64LE);
  return type;
}

Hdf5Handle TakeType(Operands& operands) {
  using Make = std::function<Hdf5Handle(Operands&)>;
  const auto plain = [](hid_t type) { return [type](Operands&) { return Hdf5Handle(H5Tcopy(type)); }; };
  static const std::array<Make, 16> types = {
      FixedText,
      plain(H5T_STD_I64LE),
      plain(H5T_IEEE_F64LE),
      plain(H5T_STD_U64LE),
      plain(H5T_STD_U8LE),
      plain(H5T_STD_I32LE),
      plain(H5T_IEEE_F32LE),
      plain(H5T_STD_U16LE),
      plain(H5T_STD_I64BE),
      [](Operands&) { return VariableText(); },
      [](Operands&) { return Hdf5Handle(H5Tvlen_create(H5T_STD_U8LE)); },
      [](Operands&) { return ArrayOfIntegers(); },
      [](Operands&) { return Compound(); },
      [](Operands&) { return Hdf5Handle(H5Tenum_create(H5T_STD_I64LE)); },
      [](Operands& o) { return Hdf5Handle(H5Tcreate(H5T_OPAQUE, 1 + o.TakeNumber(2))); },
      plain(H5T_STD_REF_OBJ)};
  return types[operands.TakeNumber(1) % types.size()](operands);
}

Hdf5Handle TakeSpace(Operands& operands) {
  constexpr std::uint64_t kPower = 0x8000;
  const auto first = static_cast<std::uint8_t>(operands.TakeNumber(1));
  if (first == kNoShape) return Hdf5Handle(H5Screate(H5S_NULL));
  std::vector<hsize_t> dims(first % 6);
  for (hsize_t& size : dims) {
    const std::uint64_t number = operands.TakeNumber(2);
    size = number < kPower ? number : hsize_t{1} << (number % 64);
  }
  return Hdf5Handle(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr));
}

Layout TakeLayout(Operands& operands) {
  return static_cast<Layout>(operands.TakeNumber(1) % static_cast<std::uint64_t>(Layout::kNumLayouts));
}

// 0: more than may be written, or nothing that bytes can stand for.
std::size_t ValueBytes(hid_t type, hid_t space) {
  if (H5Tdetect_class(type, H5T_VLEN) > 0 || H5Tis_variable_str(type) > 0) return 0;
  if (H5Tdetect_class(type, H5T_REFERENCE) > 0) return 0;
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  const std::size_t size = H5Tget_size(type);
  if (count <= 0 || size == 0 || static_cast<std::size_t>(count) > kMostValueBytes / size) return 0;
  return static_cast<std::size_t>(count) * size;
}

std::string Repeated(const std::string& text, std::size_t num_bytes) {
  std::string bytes(num_bytes, '\0');
  for (std::size_t i = 0; i < num_bytes && !text.empty(); ++i) bytes[i] = text[i % text.size()];
  return bytes;
}

Hdf5Handle CreationOf(const Dataset& dataset) {
  Hdf5Handle creation(H5Pcreate(H5P_DATASET_CREATE));
  const int rank = H5Sget_simple_extent_ndims(dataset.space.get());
  if (dataset.layout == Layout::kCompact) H5Pset_layout(creation.get(), H5D_COMPACT);
  if (dataset.layout == Layout::kElsewhere) H5Pset_external(creation.get(), "/etc/hostname", 0, H5F_UNLIMITED);
  if ((dataset.layout == Layout::kChunked || dataset.layout == Layout::kCompressed) && rank > 0) {
    std::vector<hsize_t> chunk(static_cast<std::size_t>(rank));
    H5Sget_simple_extent_dims(dataset.space.get(), chunk.data(), nullptr);
    for (hsize_t& size : chunk) size = std::clamp<hsize_t>(size, 1, 64);
    H5Pset_chunk(creation.get(), rank, chunk.data());
    if (dataset.layout == Layout::kCompressed) H5Pset_deflate(creation.get(), 6);
  }
  return creation;
}

herr_t NotePath(hid_t, const char* name, const H5L_info_t*, void* paths) {
  static_cast<std::vector<std::string>*>(paths)->emplace_back(name);
  return 0;
}

// A file in memory that is edited.
class Edited {
 public:
  explicit Edited(const std::string& image) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    const Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS));
    H5Pset_fapl_core(access.get(), std::size_t{1} << 16, /*backing_store=*/0);
    H5Pset_file_image(access.get(), const_cast<char*>(image.data()), image.size());
    file_ = Hdf5Handle(H5Fopen("edited.h5", H5F_ACC_RDWR, access.get()));
  }

  void Apply(Hdf5Edit edit, Operands& operands) {
    const std::string path = TakeObject(operands);
    switch (edit) {
      case Hdf5Edit::kDelete:
        return Delete(path);
      case Hdf5Edit::kMove:
        return Move(path, TakeObject(operands));
      case Hdf5Edit::kPut:
        return Put(path, TakeDataset(operands));
      case Hdf5Edit::kOverwrite:
        return Overwrite(path, operands);
      case Hdf5Edit::kReshape:
        return Change(path, [&](Dataset& dataset) { dataset.space = TakeSpace(operands); });
      case Hdf5Edit::kRetype:
        return Change(path, [&](Dataset& dataset) { dataset.type = TakeType(operands); });
      case Hdf5Edit::kPutAttribute:
        return PutAttribute(path, operands);
      case Hdf5Edit::kDeleteAttribute:
        H5Adelete_by_name(file_.get(), path.c_str(), operands.TakeText().c_str(), H5P_DEFAULT);
        return;
      case Hdf5Edit::kLink:
        return Link(path, operands);
      case Hdf5Edit::kMakeGroup:
        Hdf5Handle(H5Gcreate2(file_.get(), path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        return;
      case Hdf5Edit::kNumEdits:
        return;
    }
  }

  std::string Image() const {
    H5Fflush(file_.get(), H5F_SCOPE_LOCAL);
    const ssize_t num_bytes = H5Fget_file_image(file_.get(), nullptr, 0);
    std::string image(num_bytes > 0 ? static_cast<std::size_t>(num_bytes) : 0, '\0');
    if (!image.empty()) H5Fget_file_image(file_.get(), image.data(), image.size());
    return image;
  }

 private:
  std::string TakeObject(Operands& operands) const {
    const auto place = static_cast<std::uint8_t>(operands.TakeNumber(1));
    if (place == kByName) return operands.TakeText();
    std::vector<std::string> paths = {"/"};
    H5Lvisit(file_.get(), H5_INDEX_NAME, H5_ITER_INC, NotePath, &paths);
    return paths[place % paths.size()];
  }

  static Dataset TakeDataset(Operands& operands) {
    Dataset dataset;
    dataset.type = TakeType(operands);
    dataset.space = TakeSpace(operands);
    dataset.layout = TakeLayout(operands);
    dataset.values = operands.TakeText();
    return dataset;
  }

  void Delete(const std::string& path) { H5Ldelete(file_.get(), path.c_str(), H5P_DEFAULT); }

  void Move(const std::string& from, const std::string& to) {
    if (from == to) return;
    Delete(to);
    H5Lmove(file_.get(), from.c_str(), file_.get(), to.c_str(), H5P_DEFAULT, H5P_DEFAULT);
  }

  void Put(const std::string& path, const Dataset& dataset) {
    Delete(path);
    const Hdf5Handle creation = CreationOf(dataset);
    const Hdf5Handle made(H5Dcreate2(file_.get(), path.c_str(), dataset.type.get(), dataset.space.get(), H5P_DEFAULT,
                                     creation.get(), H5P_DEFAULT));
    const std::size_t num_bytes = ValueBytes(dataset.type.get(), dataset.space.get());
    if (made.get() < 0 || num_bytes == 0 || dataset.values.empty() || dataset.layout == Layout::kElsewhere) return;
    const std::string values = Repeated(dataset.values, num_bytes);
    H5Dwrite(made.get(), dataset.type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  }

  std::optional<Dataset> Get(const std::string& path) const {
    const Hdf5Handle opened(H5Dopen2(file_.get(), path.c_str(), H5P_DEFAULT));
    if (opened.get() < 0) return std::nullopt;
    Dataset dataset;
    dataset.type = Hdf5Handle(H5Dget_type(opened.get()));
    dataset.space = Hdf5Handle(H5Dget_space(opened.get()));
    const Hdf5Handle creation(H5Dget_create_plist(opened.get()));
    if (H5Pget_external_count(creation.get()) > 0) return std::nullopt;
    dataset.values.resize(ValueBytes(dataset.type.get(), dataset.space.get()));
    if (dataset.values.empty()) return dataset;
    H5Dread(opened.get(), dataset.type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, dataset.values.data());
    return dataset;
  }

  template <typename Action>
  void Change(const std::string& path, const Action& action) {
    auto dataset = Get(path);
    if (!dataset) return;
    action(*dataset);
    Put(path, *dataset);
  }

  void Overwrite(const std::string& path, Operands& operands) {
    const std::uint64_t offset = operands.TakeNumber(4);
    const std::string text = operands.TakeText();
    Change(path, [&](Dataset& dataset) {
      std::string& values = dataset.values;
      for (std::size_t i = 0; i < text.size() && !values.empty(); ++i) values[(offset + i) % values.size()] = text[i];
    });
  }

  void PutAttribute(const std::string& path, Operands& operands) {
    const std::string name = operands.TakeText();
    const Hdf5Handle type = TakeType(operands), space = TakeSpace(operands);
    const std::string value = Repeated(operands.TakeText(), ValueBytes(type.get(), space.get()));
    H5Adelete_by_name(file_.get(), path.c_str(), name.c_str(), H5P_DEFAULT);
    const Hdf5Handle attribute(H5Acreate_by_name(file_.get(), path.c_str(), name.c_str(), type.get(), space.get(),
                                                 H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    if (attribute.get() >= 0 && !value.empty()) H5Awrite(attribute.get(), type.get(), value.data());
  }

  void Link(const std::string& target, Operands& operands) {
    const std::string name = TakeObject(operands);
    const std::uint64_t kind = operands.TakeNumber(1) % 3;
    if (name == target) return;
    Delete(name);
    const hid_t file = file_.get();
    if (kind == 0) H5Lcreate_hard(file, target.c_str(), file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
    if (kind == 1) H5Lcreate_soft(target.c_str(), file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
    if (kind == 2) H5Lcreate_external("manifest.h5", target.c_str(), file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
  }

  Hdf5Handle file_;
};

}  // namespace

std::string EditHdf5(const std::string& image, std::string_view edits) {
  Edited file(image);
  Operands operands(edits);
  for (int i = 0; i < kMostEdits && !operands.empty(); ++i) {
    const auto edit = operands.TakeNumber(1) % static_cast<std::uint64_t>(Hdf5Edit::kNumEdits);
    file.Apply(static_cast<Hdf5Edit>(edit), operands);
  }
  return file.Image();
}

void AppendTextAttribute(std::string& edits, std::string_view name, std::string_view value) {
  const auto append = [&](std::uint64_t byte) { edits += static_cast<char>(byte); };
  const auto append_text = [&](std::string_view text) {
    append(text.size());
    edits += text;
  };
  append(static_cast<std::uint64_t>(Hdf5Edit::kPutAttribute));
  append(kByName);
  append_text("/");
  append_text(name);
  append(kFixedText);
  append(value.size());
  append(0);
  append(0);  // a scalar
  append_text(value);
}

}  // namespace lcsc
