#include "shard_file.h"

#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"

namespace lcsc {
namespace {

// What was read and what it should be, for the message.
struct ReadBytes {
  std::string_view bytes;
  std::string expected_digest;
};

void CheckDigest(const ReadBytes& read, const std::string& where) {
  const std::string found = DigestOf(read.bytes);
  if (found != read.expected_digest) {
    throw InputError("{}: expected digest {}, found {}; the file is damaged, copy it or pack the trajectory again",
                     where, read.expected_digest, found);
  }
}

}  // namespace

Hdf5Element ElementOf(StorageType storage) {
  switch (storage) {
    case StorageType::kFloat32:
      return Hdf5Element::kFloat32;
    case StorageType::kFloat16:
      return Hdf5Element::kFloat16;
    case StorageType::kBFloat16:
      return Hdf5Element::kBFloat16;
  }
  LCSC_CHECK(false);
}

ShardFileReader::ShardFileReader(const Trajectory& trajectory, const ShardFile& file)
    : trajectory_(trajectory), file_(file), root_(Hdf5Group::OpenFile(trajectory.folder / file.name)) {
  CheckShape(kDeltasDataset, {file.num_rows(), file.parameters.size()});
  if (file.checkpoints.begin == 0) CheckShape(kBaseDataset, {file.parameters.size()});
}

void ShardFileReader::CheckShape(const char* dataset, const std::vector<std::int64_t>& expected) const {
  const std::vector<std::int64_t> found = root_.ShapeOf(dataset);
  if (found != expected) {
    throw InputError("{}: \"{}\": expected shape {} as the manifest says, found {}; copy the whole trajectory again",
                     root_.path().string(), dataset, ShapeText(expected), ShapeText(found));
  }
}

hsize_t ShardFileReader::ColumnOf(ParameterRange part) const {
  LCSC_CHECK(part.begin >= file_.parameters.begin && part.end <= file_.parameters.end);
  return static_cast<hsize_t>(part.begin - file_.parameters.begin);
}

void ShardFileReader::ReadBase(ParameterRange part, Verify verify, float* destination) const {
  const auto size = static_cast<hsize_t>(part.size());
  root_.ReadBlock(kBaseDataset, Hdf5Element::kFloat32, {{ColumnOf(part)}, {size}}, destination);
  if (verify == Verify::kNo || part != file_.parameters) return;
  CheckDigest({{reinterpret_cast<const char*>(destination), size * sizeof(float)}, file_.base_digest},
              fmt::format("{}: \"{}\" (step {})", root_.path().string(), kBaseDataset, trajectory_.steps.front()));
}

void ShardFileReader::ReadDelta(std::int64_t checkpoint, ParameterRange part, Verify verify, void* destination) const {
  const std::int64_t row = checkpoint - file_.first_row_checkpoint();
  LCSC_CHECK(row >= 0 && row < file_.num_rows());
  const auto size = static_cast<hsize_t>(part.size());
  root_.ReadBlock(kDeltasDataset, ElementOf(trajectory_.storage),
                  {{static_cast<hsize_t>(row), ColumnOf(part)}, {1, size}}, destination);
  if (verify == Verify::kNo || part != file_.parameters) return;
  const std::size_t bytes = size * c10::elementSize(ScalarTypeOf(trajectory_.storage));
  CheckDigest({{static_cast<const char*>(destination), bytes}, file_.row_digests.at(static_cast<std::size_t>(row))},
              fmt::format("{}: \"{}\" row {} (step {})", root_.path().string(), kDeltasDataset, row,
                          trajectory_.steps.at(static_cast<std::size_t>(checkpoint))));
}

}  // namespace lcsc
