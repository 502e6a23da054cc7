// In builds with NCCL.
#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <functional>
#include <thread>

#include "base/cuda_handles.h"
#include "lcsc/base/error.h"
#include "lcsc/comm/collective_choice.h"
#include "lcsc/comm/mpi_session.h"
#include "nccl_form.h"

namespace lcsc {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kStartTimeLimit = std::chrono::minutes(2);
constexpr auto kEndTimeLimit = std::chrono::seconds(10);
// Of one communicator: two or, with gradients, three at work at once find room on a GPU.
constexpr int kMaxChannels = 8;

void CheckNccl(ncclResult_t status, const char* expression) {
  // A communicator that does not block says so while it works; AwaitIdle asks for the end.
  if (status == ncclSuccess || status == ncclInProgress) return;
  int world_rank = -1;
  MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
  throw CommError("NCCL failed on rank {}, host {}: {}: {} ({})", world_rank, HostName(), expression,
                  ncclGetErrorString(status), ncclGetLastError(nullptr));
}

// Polls without burning the core, as WaitPolitely does. Returns whether it came true within the limit.
bool PollUntil(const std::function<bool()>& is_done, Clock::duration limit) {
  constexpr int kPollsBeforeSleep = 200;
  const auto end = limit == Clock::duration::max() ? Clock::time_point::max() : Clock::now() + limit;
  auto pause = std::chrono::microseconds(20);
  for (int polls = 0; !is_done(); ++polls) {
    if (Clock::now() > end) return false;
    if (polls < kPollsBeforeSleep) continue;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(1000));
  }
  return true;
}

bool IsOnDevice(const void* memory) {
  cudaPointerAttributes attributes{};
  CheckCuda(cudaPointerGetAttributes(&attributes, memory), "cudaPointerGetAttributes");
  return attributes.type == cudaMemoryTypeDevice;
}

}  // namespace
}  // namespace lcsc

#define LCSC_NCCL_CHECK(call) ::lcsc::CheckNccl((call), #call)

namespace lcsc {
namespace {

class NcclCollective : public Collective {
 public:
  NcclCollective(MPI_Comm group, int device) : group_(group), device_(device), mpi_(group) {
    LCSC_CUDA_CHECK(cudaSetDevice(device_));
    stream_ = MakeStream();
    ncclUniqueId id{};
    ncclResult_t status = ncclSuccess;
    if (IsLeader()) status = ncclGetUniqueId(&id);
    // The others must not wait for an id that there is not.
    LCSC_MPI_CHECK(MPI_Bcast(&status, sizeof status, MPI_BYTE, 0, group_));
    LCSC_NCCL_CHECK(status);
    LCSC_MPI_CHECK(MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, group_));
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.maxCTAs = kMaxChannels;
    LCSC_NCCL_CHECK(ncclCommInitRankConfig(&communicator_, group_size(), id, group_rank(), &config));
    try {
      AwaitIdle(kStartTimeLimit);
    } catch (...) {
      Abort();
      throw;
    }
  }

  ~NcclCollective() override {
    if (communicator_ == nullptr) return;
    // Finalizing waits for the other ranks: not when this one leaves because of an error.
    if (std::uncaught_exceptions() > 0 || !Finalized()) {
      Abort();
    } else {
      ncclCommDestroy(communicator_);
    }
  }
  NcclCollective(const NcclCollective&) = delete;
  NcclCollective& operator=(const NcclCollective&) = delete;

  int group_rank() const override { return mpi_.group_rank(); }
  int group_size() const override { return mpi_.group_size(); }

  std::unique_ptr<Collective> Duplicate() override {
    MPI_Comm duplicate = MPI_COMM_NULL;
    LCSC_MPI_CHECK(MPI_Comm_dup(group_, &duplicate));
    return std::make_unique<NcclCollective>(duplicate, device_);
  }

  void AllGather(std::span<float> whole, std::span<const Part> parts) override {
    LCSC_CHECK(static_cast<int>(parts.size()) == group_size());
    LCSC_CUDA_CHECK(cudaSetDevice(device_));
    if (whole.empty()) return;
    if (IsOnDevice(whole.data())) {
      LCSC_CUDA_CHECK(cudaDeviceSynchronize());  // whoever filled it used another stream
      BroadcastParts(whole.data(), parts);
      AwaitStream();
      return;
    }
    auto* const memory = static_cast<float*>(Staging(whole.size_bytes()));
    const Part& own = parts[static_cast<std::size_t>(group_rank())];
    LCSC_CUDA_CHECK(Copy(memory, whole.data(), own, cudaMemcpyHostToDevice));
    BroadcastParts(memory, parts);
    AwaitStream();
    for (int root = 0; root < group_size(); ++root) {
      if (root == group_rank()) continue;
      LCSC_CUDA_CHECK(Copy(whole.data(), memory, parts[static_cast<std::size_t>(root)], cudaMemcpyDeviceToHost));
    }
    AwaitStream();
  }

  void ReduceToLeader(std::span<double> values) override {
    LCSC_CUDA_CHECK(cudaSetDevice(device_));
    if (values.empty()) return;
    void* const memory = Staging(values.size_bytes());
    LCSC_CUDA_CHECK(cudaMemcpyAsync(memory, values.data(), values.size_bytes(), cudaMemcpyHostToDevice, stream_.get()));
    LCSC_NCCL_CHECK(
        ncclReduce(memory, memory, values.size(), ncclFloat64, ncclSum, /*root=*/0, communicator_, stream_.get()));
    AwaitIdle(Clock::duration::max());
    AwaitStream();
    if (!IsLeader()) return;
    LCSC_CUDA_CHECK(cudaMemcpyAsync(values.data(), memory, values.size_bytes(), cudaMemcpyDeviceToHost, stream_.get()));
    AwaitStream();
  }

  void ReduceScatter(std::span<double> whole, std::span<const Part> parts) override {
    LCSC_CHECK(static_cast<int>(parts.size()) == group_size());
    LCSC_CUDA_CHECK(cudaSetDevice(device_));
    if (whole.empty()) return;
    auto* const memory = static_cast<double*>(Staging(whole.size_bytes()));
    LCSC_CUDA_CHECK(cudaMemcpyAsync(memory, whole.data(), whole.size_bytes(), cudaMemcpyHostToDevice, stream_.get()));
    ReduceParts(memory, parts);
    AwaitStream();
    const Part& own = parts[static_cast<std::size_t>(group_rank())];
    LCSC_CUDA_CHECK(cudaMemcpyAsync(whole.data() + own.begin, memory + own.begin,
                                    static_cast<std::size_t>(own.size()) * sizeof(double), cudaMemcpyDeviceToHost,
                                    stream_.get()));
    AwaitStream();
  }

  void GatherRowsToLeader(std::span<const float> own, std::span<float> whole, const RowParts& rows) override {
    mpi_.GatherRowsToLeader(own, whole, rows);
  }
  void BroadcastFromLeader(std::vector<std::byte>& bytes) override { mpi_.BroadcastFromLeader(bytes); }

 private:
  // Each rank's part to all others, in one group of calls: the parts may differ in length, and be empty.
  void BroadcastParts(float* whole, std::span<const Part> parts) {
    LCSC_NCCL_CHECK(ncclGroupStart());
    for (int root = 0; root < group_size(); ++root) {
      const Part& part = parts[static_cast<std::size_t>(root)];
      if (part.size() == 0) continue;
      float* const first = whole + part.begin;
      LCSC_NCCL_CHECK(ncclBroadcast(first, first, static_cast<std::size_t>(part.size()), ncclFloat32, root,
                                    communicator_, stream_.get()));
    }
    LCSC_NCCL_CHECK(ncclGroupEnd());
    AwaitIdle(Clock::duration::max());
  }

  // Each rank's part of the sum to that rank.
  void ReduceParts(double* whole, std::span<const Part> parts) {
    LCSC_NCCL_CHECK(ncclGroupStart());
    for (int root = 0; root < group_size(); ++root) {
      const Part& part = parts[static_cast<std::size_t>(root)];
      if (part.size() == 0) continue;
      double* const first = whole + part.begin;
      LCSC_NCCL_CHECK(ncclReduce(first, first, static_cast<std::size_t>(part.size()), ncclFloat64, ncclSum, root,
                                 communicator_, stream_.get()));
    }
    LCSC_NCCL_CHECK(ncclGroupEnd());
    AwaitIdle(Clock::duration::max());
  }

  cudaError_t Copy(float* to, const float* from, const Part& part, cudaMemcpyKind kind) const {
    return cudaMemcpyAsync(to + part.begin, from + part.begin, static_cast<std::size_t>(part.size()) * sizeof(float),
                           kind, stream_.get());
  }

  // Device memory that grows to the longest vector and stays.
  void* Staging(std::size_t bytes) {
    if (bytes > staging_bytes_) {
      staging_.reset();
      staging_bytes_ = 0;
      staging_ = AllocateOnDevice(bytes);
      staging_bytes_ = bytes;
    }
    return staging_.get();
  }

  // Until the communicator has taken in what was asked of it.
  void AwaitIdle(Clock::duration limit) {
    const auto is_idle = [this] { return AsyncState() != ncclInProgress; };
    if (PollUntil(is_idle, limit)) return;
    Abort();
    throw CommError(
        "NCCL did not start within {} s on host {}; see what NCCL_DEBUG=INFO prints, or use "
        "run.collective = mpi",
        std::chrono::duration_cast<std::chrono::seconds>(limit).count(), HostName());
  }

  // Until the stream is empty. A peer's failure ends the wait.
  void AwaitStream() {
    const auto is_empty = [this] {
      AsyncState();
      const cudaError_t status = cudaStreamQuery(stream_.get());
      if (status != cudaErrorNotReady) CheckCuda(status, "cudaStreamQuery");
      return status == cudaSuccess;
    };
    PollUntil(is_empty, Clock::duration::max());
  }

  // ncclSuccess or ncclInProgress; an error aborts the communicator, which frees the kernels that wait for a peer.
  ncclResult_t AsyncState() {
    if (communicator_ == nullptr) throw CommError("NCCL was aborted on host {} after an earlier error", HostName());
    ncclResult_t state = ncclSuccess;
    const ncclResult_t status = ncclCommGetAsyncError(communicator_, &state);
    const ncclResult_t failed = status == ncclSuccess ? state : status;
    if (failed != ncclSuccess && failed != ncclInProgress) Abort();
    CheckNccl(failed, "ncclCommGetAsyncError");
    return state;
  }

  // Whether the communicator was wound up together with the other ranks'. Throws nothing.
  bool Finalized() const {
    const ncclResult_t started = ncclCommFinalize(communicator_);
    if (started != ncclSuccess && started != ncclInProgress) return false;
    ncclResult_t state = ncclInProgress;
    const auto is_done = [&] {
      return ncclCommGetAsyncError(communicator_, &state) != ncclSuccess || state != ncclInProgress;
    };
    return PollUntil(is_done, kEndTimeLimit) && state == ncclSuccess;
  }

  void Abort() {
    if (communicator_ != nullptr) ncclCommAbort(communicator_);
    communicator_ = nullptr;
  }

  MPI_Comm group_;
  int device_ = 0;
  MpiCollective mpi_;
  DeviceMemory staging_;
  std::size_t staging_bytes_ = 0;
  Stream stream_;
  ncclComm_t communicator_ = nullptr;
};

}  // namespace

RankGpu FindRankGpu(int node_local_rank) {
  RankGpu gpu{.nccl_is_built = true};
  // Without a driver the runtime says so by an error.
  if (cudaGetDeviceCount(&gpu.num_visible) != cudaSuccess) gpu.num_visible = 0;
  gpu.device = DeviceOfRank(node_local_rank, gpu.num_visible);
  cudaDeviceProp properties{};
  if (gpu.device >= 0 && cudaGetDeviceProperties(&properties, gpu.device) != cudaSuccess) gpu.device = -1;
  std::memcpy(gpu.uuid.data(), &properties.uuid, gpu.uuid.size());
  return gpu;
}

std::unique_ptr<Collective> MakeNcclCollective(MPI_Comm group, int device) {
  return std::make_unique<NcclCollective>(group, device);
}

}  // namespace lcsc
