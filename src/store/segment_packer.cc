#include "segment_packer.h"

#include <algorithm>
#include <regex>

#include "finite.h"
#include "lcsc/base/atomic_file.h"
#include "lcsc/base/digest.h"
#include "lcsc/base/error.h"
#include "manifest.h"
#include "shard_file.h"

namespace lcsc {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kShardFormat = "lcsc trajectory shard";

// The smallest magnitude that becomes infinite in the storage type, by rounding to nearest.
float OverflowLimit(StorageType storage) {
  switch (storage) {
    case StorageType::kFloat16:
      return 65520.0f;
    case StorageType::kBFloat16:
      return 0x1.ffp127f;
    case StorageType::kFloat32:
      return std::numeric_limits<float>::infinity();
  }
  LCSC_CHECK(false);
}

// Deltas of part of a checkpoint, in the storage type. Overwrites theta.
struct DeltaContext {
  const TensorFile& file;
  const Trajectory& trajectory;
  ParameterRange range;
};
at::Tensor StoredDelta(at::Tensor theta, const at::Tensor& base, const DeltaContext& context) {
  const at::Tensor delta = theta.sub_(base);
  const std::span<const float> values(delta.data_ptr<float>(), static_cast<std::size_t>(delta.numel()));
  if (const auto bad = FirstNotBelow(values, OverflowLimit(context.trajectory.storage))) {
    const auto& entries = context.trajectory.table.entries();
    const auto position = context.range.begin + static_cast<std::int64_t>(*bad);
    const auto behind = std::ranges::upper_bound(entries, position, {}, &TensorEntry::offset);
    throw InputError(
        "{}: tensor \"{}\": its difference {} to the first checkpoint overflows {}; use --storage bf16 or f32",
        context.file.path().string(), std::prev(behind)->name, values[*bad],
        StorageTypeName(context.trajectory.storage));
  }
  return delta.to(ScalarTypeOf(context.trajectory.storage));
}

std::string DigestOfBytes(const at::Tensor& tensor) {
  return DigestOf(std::string_view(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()));
}

std::int64_t CeilDivide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

std::int64_t FileBytes(const TensorTable& table, ParameterRange range) {
  std::int64_t bytes = 0;
  for (const TensorEntry& entry : table.entries()) {
    const std::int64_t begin = std::max(range.begin, entry.offset);
    const std::int64_t end = std::min(range.end, entry.offset + entry.num_elements());
    bytes += std::max<std::int64_t>(end - begin, 0) * BytesPerElement(entry.type);
  }
  return bytes;
}

SegmentPacker::SegmentPacker(Trajectory& trajectory, const Work& work, const PackTeam& team)
    : trajectory_(trajectory), work_(work), team_(team) {
  if (team_.world_rank != 0) return;
  const auto num_checkpoints = static_cast<std::int64_t>(work_.checkpoints.size());
  progress_.emplace(Progress::Options{.title = "packing",
                                      .unit = "",
                                      .total = FileBytes(trajectory_.table, {0, NumParameters()}) * num_checkpoints,
                                      .in_bytes = true});
}

std::int64_t SegmentPacker::NumRanges() const { return CeilDivide(NumParameters(), trajectory_.shard_elements); }

// Few checkpoints are cut into smaller segments, so that every rank has one. A first segment has two checkpoints at
// least: the base and a row.
std::int64_t SegmentPacker::SegmentSize() const {
  const auto num_checkpoints = static_cast<std::int64_t>(work_.checkpoints.size());
  const std::int64_t share = CeilDivide(num_checkpoints * NumRanges(), team_.world_size);
  return std::clamp<std::int64_t>(share, 2, work_.segment_checkpoints);
}

std::int64_t SegmentPacker::NextRound() const {
  const std::int64_t segments = CeilDivide(team_.world_size, NumRanges());
  return std::min(segments * SegmentSize(), static_cast<std::int64_t>(work_.checkpoints.size()) - num_packed_);
}

std::vector<SegmentPacker::Unit> SegmentPacker::UnitsOfRound() const {
  std::vector<Unit> units;
  const std::int64_t round = NextRound(), before = trajectory_.num_checkpoints();
  for (std::int64_t begin = 0; begin < round; begin += SegmentSize()) {
    const std::int64_t end = std::min(begin + SegmentSize(), round);
    for (std::int64_t i = 0; i < NumRanges(); ++i) {
      const std::int64_t first = i * trajectory_.shard_elements;
      units.push_back({{.name = fmt::format("shard-{:05}.h5", trajectory_.shards.size() + units.size()),
                        .parameters = {first, std::min(first + trajectory_.shard_elements, NumParameters())},
                        .checkpoints = {before + begin, before + end},
                        .base_digest = "",
                        .row_digests = {}},
                       work_.checkpoints.subspan(static_cast<std::size_t>(num_packed_ + begin),
                                                 static_cast<std::size_t>(end - begin))});
    }
  }
  return units;
}

void SegmentPacker::PackRound() {
  std::vector<Unit> units = UnitsOfRound();
  const auto rank = static_cast<std::size_t>(team_.world_rank), size = static_cast<std::size_t>(team_.world_size);
  const auto bytes_of = [this](const Unit& unit) {
    return FileBytes(trajectory_.table, unit.shard.parameters) * unit.shard.checkpoints.size();
  };
  bytes_ = {.before = bytes_.before + bytes_.round};
  for (std::size_t i = 0; i < units.size(); ++i) {
    bytes_.round += bytes_of(units[i]);
    if (i % size == rank) bytes_.own += bytes_of(units[i]);
  }
  FileDigests digests;
  try {
    team_.agree([&] {
      for (std::size_t i = rank; i < units.size(); i += size) WriteUnit(units[i], digests);
    });
    Exchange(units, digests);
    team_.agree([&] { Publish(units, digests); });
  } catch (...) {
    if (team_.world_rank == 0) RemoveLeftovers(trajectory_);
    throw;
  }
}

void SegmentPacker::WriteUnit(Unit& unit, FileDigests& digests) {
  PublishFile(trajectory_.folder / unit.shard.name,
              [&](const fs::path& temporary) { WriteRows(temporary, unit, digests); });
}

void SegmentPacker::WriteRows(const fs::path& path, Unit& unit, FileDigests& digests) {
  ShardFile& shard = unit.shard;
  Hdf5Group root = Hdf5Group::CreateFile(path);
  root.WriteTextAttribute("format", kShardFormat);
  root.WriteIntegerAttribute("version", kTrajectoryVersion);
  const auto columns = static_cast<hsize_t>(shard.parameters.size());
  const at::Tensor& base = BaseOf(shard.parameters);
  if (shard.checkpoints.begin == 0) {
    root.CreateArray(kBaseDataset, Hdf5Element::kFloat32, {shard.parameters.size()});
    root.WriteBlock(kBaseDataset, Hdf5Element::kFloat32, {{0}, {columns}}, base.data_ptr());
    shard.base_digest = DigestOfBytes(base);
  }
  const Hdf5Element element = ElementOf(trajectory_.storage);
  root.CreateArray(kDeltasDataset, element, {shard.num_rows(), shard.parameters.size()});
  for (std::int64_t i = shard.checkpoints.begin; i < shard.checkpoints.end; ++i) {
    const Checkpoint& checkpoint = unit.checkpoints[static_cast<std::size_t>(i - shard.checkpoints.begin)];
    if (i >= shard.first_row_checkpoint()) {
      const at::Tensor theta = ReadParameters(*checkpoint.file, trajectory_.table, shard.parameters);
      const at::Tensor delta = StoredDelta(theta, base, {*checkpoint.file, trajectory_, shard.parameters});
      root.WriteBlock(kDeltasDataset, element, {{shard.row_digests.size(), 0}, {1, columns}}, delta.data_ptr());
      shard.row_digests.push_back(DigestOfBytes(delta));
    }
    checkpoint.file->Close();
    // Right behind the first read, while the system still has the file in memory.
    if (shard.parameters.begin == 0) digests[i] = SourceDigest(checkpoint);
    ShowProgress(FileBytes(trajectory_.table, shard.parameters), checkpoint.step);
  }
  root.Flush();
}

// theta_1 of the range: from the trajectory once it is there, before from the checkpoint itself.
const at::Tensor& SegmentPacker::BaseOf(ParameterRange range) {
  if (base_.defined() && base_range_ == range) return base_;
  base_ = at::Tensor();  // never two at a time
  const auto packed = std::ranges::find_if(trajectory_.shards, [&](const ShardFile& shard) {
    return shard.checkpoints.begin == 0 && shard.parameters == range;
  });
  if (packed == trajectory_.shards.end()) {
    LCSC_CHECK(trajectory_.num_checkpoints() == 0);
    const TensorFile& file = *work_.checkpoints.front().file;
    base_ = ReadParameters(file, trajectory_.table, range);
    file.Close();
  } else {
    base_ = at::empty({range.size()}, at::kFloat);
    ShardFileReader(trajectory_, *packed).ReadBase(range, Verify::kWholeRows, base_.data_ptr<float>());
  }
  base_range_ = range;
  return base_;
}

// Afterwards every rank knows the digests of every unit.
void SegmentPacker::Exchange(std::vector<Unit>& units, FileDigests& digests) const {
  if (team_.world_size == 1) return;
  json own = {{"files", json::array()}, {"shards", json::array()}};
  for (const auto& [checkpoint, digest] : digests) own["files"].push_back({checkpoint, digest});
  const auto size = static_cast<std::size_t>(team_.world_size);
  for (std::size_t i = static_cast<std::size_t>(team_.world_rank); i < units.size(); i += size) {
    own["shards"].push_back({i, units[i].shard.base_digest, units[i].shard.row_digests});
  }
  for (const std::string& text : team_.gather(own.dump())) {
    const json all = json::parse(text);
    for (const json& file : all["files"]) digests[file[0]] = file[1];
    for (const json& shard : all["shards"]) {
      Unit& unit = units.at(shard[0]);
      unit.shard.base_digest = shard[1];
      unit.shard.row_digests = shard[2].get<std::vector<std::string>>();
    }
  }
}

void SegmentPacker::Publish(const std::vector<Unit>& units, const FileDigests& digests) {
  Trajectory grown = trajectory_;
  for (const Unit& unit : units) grown.shards.push_back(unit.shard);
  const auto round =
      work_.checkpoints.subspan(static_cast<std::size_t>(num_packed_), static_cast<std::size_t>(NextRound()));
  for (const Checkpoint& checkpoint : round) {
    grown.sources.push_back({checkpoint.file->path().filename().string(), digests.at(grown.num_checkpoints())});
    grown.steps.push_back(checkpoint.step);
  }
  grown.carried = ReadCarriedTensors(*round.back().file, work_.carried);
  round.back().file->Close();
  if (team_.world_rank == 0) PublishManifest(grown);
  trajectory_ = std::move(grown);
  num_packed_ += static_cast<std::int64_t>(round.size());
}

// Rank 0 sees its own work: the others are taken to be as far with theirs until the round ends.
void SegmentPacker::ShowProgress(std::int64_t bytes, std::int64_t step) {
  bytes_.own_done += bytes;
  if (!progress_) return;
  const double share = static_cast<double>(bytes_.own_done) / static_cast<double>(bytes_.own);
  const auto done = static_cast<std::int64_t>(share * static_cast<double>(bytes_.round));
  progress_->Update(bytes_.before + done, fmt::format("step {}", step));
}

bool IsPackersFile(const std::string& name) {
  static const std::regex ours(R"((shard-\d{5,}\.h5|manifest\.h5)(\.tmp-\d+)?)");
  return std::regex_match(name, ours);
}

void RemoveLeftovers(const Trajectory& trajectory) {
  for (const auto& entry : fs::directory_iterator(trajectory.folder)) {
    const std::string name = entry.path().filename().string();
    const bool is_listed = std::ranges::count(trajectory.shards, name, &ShardFile::name) > 0;
    if (IsPackersFile(name) && name != kManifestName && !is_listed) fs::remove(entry.path());
  }
}

}  // namespace lcsc
