// One shard file of a trajectory, row by row.
#pragma once

#include "lcsc/store/hdf5.h"
#include "lcsc/store/shard_reader.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

inline constexpr const char* kBaseDataset = "base";
inline constexpr const char* kDeltasDataset = "deltas";

Hdf5Element ElementOf(StorageType storage);

// Reads parts of rows. A part is a range of the whole flat vector that lies inside the file's own; one that equals it
// is compared with its digest when that is asked for.
class ShardFileReader {
 public:
  // Opens the file and compares its shapes. Throws InputError. Both arguments must outlive the reader.
  ShardFileReader(const Trajectory& trajectory, const ShardFile& file);

  // REQUIRES: the file begins with checkpoint 0.
  void ReadBase(ParameterRange part, Verify verify, float* destination) const;
  // REQUIRES: checkpoint in [first_row_checkpoint(), checkpoints.end).
  void ReadDelta(std::int64_t checkpoint, ParameterRange part, Verify verify, void* destination) const;

 private:
  void CheckShape(const char* dataset, const std::vector<std::int64_t>& expected) const;
  hsize_t ColumnOf(ParameterRange part) const;

  const Trajectory& trajectory_;
  const ShardFile& file_;
  Hdf5Group root_;
};

}  // namespace lcsc
