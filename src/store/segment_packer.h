// Writes checkpoints into a trajectory's shard files, together with the other ranks of a team.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "checkpoint.h"
#include "lcsc/base/progress.h"
#include "lcsc/store/packer.h"

namespace lcsc {

// Bytes that the merged tensors of this range have in a checkpoint's file.
std::int64_t FileBytes(const TensorTable& table, ParameterRange range);

class SegmentPacker {
 public:
  struct Work {
    std::span<const Checkpoint> checkpoints;  // new ones, behind those that the trajectory has
    const std::vector<TensorEntry>& carried;
    std::int64_t segment_checkpoints;  // at most, per shard file
  };
  // All must outlive the packer. Every rank of the team makes one with the same content.
  SegmentPacker(Trajectory& trajectory, const Work& work, const PackTeam& team);

  // The number of checkpoints that the next round packs; 0 when all are packed.
  std::int64_t NextRound() const;
  // Every rank writes its share of the round's shard files; then rank 0 publishes the manifest that names them.
  // Collective. An error on any rank removes what the round wrote.
  void PackRound();
  std::int64_t num_packed() const { return num_packed_; }

 private:
  // One shard file and the checkpoints in it.
  struct Unit {
    ShardFile shard;
    std::span<const Checkpoint> checkpoints;
  };
  // What the ranks tell each other of a unit.
  using FileDigests = std::map<std::int64_t, std::string>;  // by checkpoint

  std::int64_t NumParameters() const { return trajectory_.table.num_elements(); }
  std::int64_t NumRanges() const;
  std::int64_t SegmentSize() const;
  std::vector<Unit> UnitsOfRound() const;
  void WriteUnit(Unit& unit, FileDigests& digests);
  void WriteRows(const std::filesystem::path& path, Unit& unit, FileDigests& digests);
  const at::Tensor& BaseOf(ParameterRange range);
  void Exchange(std::vector<Unit>& units, FileDigests& digests) const;
  void Publish(const std::vector<Unit>& units, const FileDigests& digests);
  void ShowProgress(std::int64_t bytes, std::int64_t step);

  Trajectory& trajectory_;
  const Work work_;
  const PackTeam& team_;
  std::int64_t num_packed_ = 0;
  // The base of the last range: most networks have one.
  ParameterRange base_range_;
  at::Tensor base_;
  // Bytes of checkpoints: before this round, in it, and the part of it that is this rank's, all and done.
  struct {
    std::int64_t before = 0, round = 0, own = 0, own_done = 0;
  } bytes_;
  std::optional<Progress> progress_;
};

// Removes files of a packer that was killed, or failed, before its manifest named them.
void RemoveLeftovers(const Trajectory& trajectory);
// The names that a packer gives, finished or not; never a user's own file.
bool IsPackersFile(const std::string& name);

}  // namespace lcsc
