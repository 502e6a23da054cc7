// Checkpoints as the packer sees them: files in the order of their steps, all with the same tensors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lcsc/io/tensor_file.h"
#include "lcsc/io/tensor_table.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

struct Checkpoint {
  std::int64_t step;
  std::unique_ptr<TensorFile> file;  // closed; its header is read, tensors when asked for
  std::string key;                   // of the dict inside a nested file
};

// Names what was packed: the file's digest, and the key where there is one, for "ema" and "model" of one file differ.
std::string SourceDigest(const Checkpoint& checkpoint);

// The files that match the glob, of any format, by ascending step: the one in the file (`__metadata__.step`, or a
// nested torch.save file's "step"), or else the last integer of the file's stem. Throws InputError: no match,
// unreadable header, no step, two files of one step.
std::vector<Checkpoint> FindCheckpoints(const std::string& glob, const TensorFileOptions& options);

// Which tensors are merged and which are carried from the last checkpoint as they are.
struct TensorSplit {
  TensorTable merged;
  std::vector<TensorEntry> carried;
};
// Integer tensors, and floating-point tensors whose name matches `buffers_regex`, are carried. Throws ConfigError for
// an unsound expression.
TensorSplit SplitTensors(const std::vector<TensorEntry>& entries, const std::string& buffers_regex);

// What every checkpoint must contain, and where that is known from (for the message).
struct ExpectedTensors {
  std::vector<TensorEntry> entries;  // by name in ascending order, offset 0
  std::string source;
};
// Throws InputError that names the file, the first tensor that differs, and both values.
void CheckSameTensors(const ExpectedTensors& expected, const TensorFile& file);

// Part of the flat vector theta, float32 [range.size()]. Throws InputError that names file and tensor when a value is
// not finite.
at::Tensor ReadParameters(const TensorFile& file, const TensorTable& table, ParameterRange range);

NamedTensors ReadCarriedTensors(const TensorFile& file, const std::vector<TensorEntry>& carried);

}  // namespace lcsc
