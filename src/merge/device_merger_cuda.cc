// In builds with CUDA.
#include <algorithm>
#include <array>
#include <vector>

#include "base/cuda_handles.h"
#include "device_merger.h"
#include "lcsc/base/error.h"
#include "merge_cuda.h"

namespace lcsc {
namespace {

constexpr std::int64_t kFloatBytes = 4;

std::int64_t PaddedColumns(std::int64_t columns) {
  return (columns + kDeviceColumnUnit - 1) / kDeviceColumnUnit * kDeviceColumnUnit;
}

std::size_t Size(std::int64_t bytes) { return static_cast<std::size_t>(bytes); }

DeviceMergeFunction FunctionFor(StorageType storage) {
  switch (storage) {
    case StorageType::kFloat32:
      return MergeFloat32OnDevice;
    case StorageType::kFloat16:
      return MergeFloat16OnDevice;
    case StorageType::kBFloat16:
      return MergeBFloat16OnDevice;
  }
  LCSC_CHECK(false);
}

int NumDevices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

// Base and deltas of some columns in device memory.
struct ColumnMemory {
  std::int64_t row_stride = 0;
  DeviceMemory base, deltas;
};

// Two of them take turns: while the columns of one are merged, the outs of the other come back.
struct Slot {
  Stream stream;
  DeviceMemory outs;     // [kMaxDeviceBatch, block_columns]
  ColumnMemory columns;  // of a streamed block
};

class CudaMerger : public DeviceMerger {
 public:
  CudaMerger(Shard shard, const DeviceMergerOptions& options)
      : shard_(std::move(shard)), device_(options.device), function_(FunctionFor(shard_.storage)) {
    LCSC_CHECK(shard_.base.is_contiguous() && shard_.deltas.is_contiguous());
    LCSC_CUDA_CHECK(cudaSetDevice(device_));
    plan_ = PlanDeviceMerge({num_rows(), num_columns(), delta_bytes()}, AvailableBytes(options));
    const std::int64_t coefficient_bytes = kFloatBytes * kMaxDeviceBatch * num_rows();
    coefficients_ = AllocateOnDevice(Size(coefficient_bytes));
    staged_coefficients_ = AllocatePinned(Size(coefficient_bytes));
    coefficients_are_there_ = MakeEvent();
    for (Slot& slot : slots_) {
      slot.stream = MakeStream();
      slot.outs = AllocateOnDevice(Size(kFloatBytes * kMaxDeviceBatch * plan_.block_columns));
      if (!plan_.is_resident) slot.columns = AllocateColumns(plan_.block_columns);
    }
    if (plan_.is_resident) {
      MoveToDevice();
    } else {
      pins_ = {PinMemory(shard_.base.data_ptr(), shard_.base.nbytes()),
               PinMemory(shard_.deltas.data_ptr(), shard_.deltas.nbytes())};
    }
  }

  ~CudaMerger() override {
    // Nothing that is still on its way may find its memory gone.
    for (const Slot& slot : slots_) cudaStreamSynchronize(slot.stream.get());
  }
  CudaMerger(const CudaMerger&) = delete;
  CudaMerger& operator=(const CudaMerger&) = delete;

  const DeviceMergePlan& plan() const override { return plan_; }

  void MergeBatch(std::span<const std::span<const double>> coefficients,
                  std::span<const std::span<float>> outs) override {
    LCSC_CHECK(coefficients.size() == outs.size());
    for (std::size_t c = 0; c < outs.size(); ++c) {
      LCSC_CHECK(static_cast<std::int64_t>(coefficients[c].size()) == num_rows() + 1);
      LCSC_CHECK(static_cast<std::int64_t>(outs[c].size()) == num_columns());
    }
    LCSC_CUDA_CHECK(cudaSetDevice(device_));
    const std::size_t num_passes = (outs.size() + kMaxDeviceBatch - 1) / kMaxDeviceBatch;
    for (std::size_t i = 0; i < num_passes; ++i) {
      const std::size_t begin = outs.size() * i / num_passes, size = outs.size() * (i + 1) / num_passes - begin;
      MergePass(coefficients.subspan(begin, size), outs.subspan(begin, size));
    }
  }

 private:
  std::int64_t num_rows() const { return num_rows_; }
  std::int64_t num_columns() const { return shard_.range.size(); }
  std::int64_t delta_bytes() const { return static_cast<std::int64_t>(c10::elementSize(ScalarTypeOf(shard_.storage))); }

  static std::int64_t AvailableBytes(const DeviceMergerOptions& options) {
    std::size_t free_bytes = 0, total_bytes = 0;
    LCSC_CUDA_CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
    const auto usable = static_cast<std::int64_t>(free_bytes / 10 * 9);
    return options.budget_bytes ? std::min(*options.budget_bytes, usable) : usable;
  }

  // Zeros, so that the columns that fill up the last unit are numbers.
  ColumnMemory AllocateColumns(std::int64_t columns) const {
    ColumnMemory memory{PaddedColumns(columns), {}, {}};
    const std::size_t base_bytes = Size(kFloatBytes * memory.row_stride);
    const std::size_t deltas_bytes = Size(num_rows() * memory.row_stride * delta_bytes());
    memory.base = AllocateOnDevice(base_bytes);
    memory.deltas = AllocateOnDevice(deltas_bytes);
    if (base_bytes > 0) LCSC_CUDA_CHECK(cudaMemset(memory.base.get(), 0, base_bytes));
    if (deltas_bytes > 0) LCSC_CUDA_CHECK(cudaMemset(memory.deltas.get(), 0, deltas_bytes));
    LCSC_CUDA_CHECK(cudaDeviceSynchronize());  // our streams do not wait for the default one
    return memory;
  }

  // Columns [first, first + count) of the shard into the first `count` columns of the memory.
  struct ColumnRange {
    std::int64_t first = 0, count = 0;
  };
  void CopyColumns(const ColumnMemory& to, const ColumnRange& range, cudaStream_t stream) const {
    const auto* const base = static_cast<const char*>(shard_.base.data_ptr()) + range.first * kFloatBytes;
    const auto* const deltas = static_cast<const char*>(shard_.deltas.data_ptr()) + range.first * delta_bytes();
    LCSC_CUDA_CHECK(
        cudaMemcpyAsync(to.base.get(), base, Size(range.count * kFloatBytes), cudaMemcpyHostToDevice, stream));
    // Row by row: the pitch of a copy in two dimensions is bounded by 2 GiB.
    for (std::int64_t row = 0; row < num_rows(); ++row) {
      LCSC_CUDA_CHECK(cudaMemcpyAsync(static_cast<char*>(to.deltas.get()) + row * to.row_stride * delta_bytes(),
                                      deltas + row * num_columns() * delta_bytes(), Size(range.count * delta_bytes()),
                                      cudaMemcpyHostToDevice, stream));
    }
  }

  void MoveToDevice() {
    resident_ = AllocateColumns(num_columns());
    if (num_columns() > 0) CopyColumns(resident_, {0, num_columns()}, slots_[0].stream.get());
    LCSC_CUDA_CHECK(cudaStreamSynchronize(slots_[0].stream.get()));
    shard_.base.reset();
    shard_.deltas.reset();
  }

  void MergePass(std::span<const std::span<const double>> coefficients, std::span<const std::span<float>> outs) {
    SendCoefficients(coefficients);
    std::vector<ColumnRange> blocks;
    for (std::int64_t first = 0; first < num_columns(); first += plan_.block_columns) {
      blocks.push_back({first, std::min(plan_.block_columns, num_columns() - first)});
    }
    // Pageable outs make the host wait for its copy: the next block is on its way by then.
    for (std::size_t i = 0; i <= blocks.size(); ++i) {
      if (i < blocks.size()) StartBlock(slots_[i % 2], blocks[i], static_cast<int>(outs.size()));
      if (i > 0) FetchBlock(slots_[(i - 1) % 2], blocks[i - 1], outs);
    }
    for (const Slot& slot : slots_) LCSC_CUDA_CHECK(cudaStreamSynchronize(slot.stream.get()));
  }

  void SendCoefficients(std::span<const std::span<const double>> coefficients) {
    if (num_rows() == 0) return;
    const auto padded = static_cast<std::size_t>(PaddedBatch(static_cast<int>(coefficients.size())));
    auto* const staged = static_cast<float*>(staged_coefficients_.get());
    for (std::size_t row = 0; row < Size(num_rows()); ++row) {
      for (std::size_t c = 0; c < padded; ++c) {
        staged[row * padded + c] = c < coefficients.size() ? static_cast<float>(coefficients[c][row + 1]) : 0;
      }
    }
    const cudaStream_t stream = slots_[0].stream.get();
    LCSC_CUDA_CHECK(cudaMemcpyAsync(coefficients_.get(), staged, Size(num_rows()) * padded * sizeof(float),
                                    cudaMemcpyHostToDevice, stream));
    LCSC_CUDA_CHECK(cudaEventRecord(coefficients_are_there_.get(), stream));
    LCSC_CUDA_CHECK(cudaStreamWaitEvent(slots_[1].stream.get(), coefficients_are_there_.get(), 0));
  }

  void StartBlock(const Slot& slot, const ColumnRange& range, int num_candidates) {
    const cudaStream_t stream = slot.stream.get();
    if (!plan_.is_resident) CopyColumns(slot.columns, range, stream);
    const ColumnMemory& columns = plan_.is_resident ? resident_ : slot.columns;
    const std::int64_t first = plan_.is_resident ? range.first : 0;
    const DeviceRows rows{.base = static_cast<const float*>(columns.base.get()) + first,
                          .deltas = static_cast<const char*>(columns.deltas.get()) + first * delta_bytes(),
                          .row_stride = columns.row_stride,
                          .num_rows = num_rows(),
                          .num_columns = PaddedColumns(range.count)};
    DeviceBatch batch{.coefficients = static_cast<const float*>(coefficients_.get()), .num_candidates = num_candidates};
    for (int c = 0; c < num_candidates; ++c) batch.outs[c] = OutOf(slot, c);
    LCSC_CUDA_CHECK(function_(rows, batch, stream));
  }

  void FetchBlock(const Slot& slot, const ColumnRange& range, std::span<const std::span<float>> outs) {
    for (std::size_t c = 0; c < outs.size(); ++c) {
      LCSC_CUDA_CHECK(cudaMemcpyAsync(outs[c].data() + range.first, OutOf(slot, static_cast<int>(c)),
                                      Size(range.count * kFloatBytes), cudaMemcpyDeviceToHost, slot.stream.get()));
    }
  }

  float* OutOf(const Slot& slot, int candidate) const {
    return static_cast<float*>(slot.outs.get()) + candidate * plan_.block_columns;
  }

  Shard shard_;  // its tensors only when streamed
  int device_ = 0;
  DeviceMergeFunction function_;
  std::int64_t num_rows_ = shard_.deltas.size(0);
  DeviceMergePlan plan_;
  ColumnMemory resident_;
  DeviceMemory coefficients_;
  PinnedMemory staged_coefficients_;
  Event coefficients_are_there_;
  std::array<Slot, 2> slots_;
  std::array<Pin, 2> pins_;  // freed before the tensors that they pin
};

}  // namespace

bool CanMergeOnDevice() { return NumDevices() > 0; }

std::unique_ptr<DeviceMerger> MakeDeviceMerger(Shard shard, const DeviceMergerOptions& options) {
  const int num_devices = NumDevices();
  if (options.device < 0 || options.device >= num_devices) {
    throw ConfigError(
        "run.merge = cuda: expected a GPU for each rank, found none for this one, which sees {}; merge on the CPU "
        "(run.merge = cpu), or start one worker per GPU",
        num_devices);
  }
  return std::make_unique<CudaMerger>(std::move(shard), options);
}

}  // namespace lcsc
