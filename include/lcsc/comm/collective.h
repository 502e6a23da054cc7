// What the ranks of one evaluation group say to each other. One interface; the MPI form and the one-rank form.
#pragma once

#include <mpi.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace lcsc {

// A contiguous part [begin, end) of a vector.
struct Part {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
};

// Splits [0, total) into num_parts contiguous parts whose sizes differ by at most one.
std::vector<Part> SplitEvenly(std::int64_t total, int num_parts);

// A table of floats whose rows are divided among the ranks.
struct RowParts {
  std::span<const Part> parts;  // the rows of each rank, adjacent, from 0
  std::int64_t row_size = 1;    // floats in a row
};

// All calls are collective over the group: every rank calls the same ones in the same order. Throws CommError.
class Collective {
 public:
  virtual ~Collective() = default;
  virtual int group_rank() const = 0;
  virtual int group_size() const = 0;
  bool IsLeader() const { return group_rank() == 0; }
  // The same ranks with calls of their own: a thread that uses the duplicate and one that uses this never meet.
  virtual std::unique_ptr<Collective> Duplicate() = 0;

  // Every rank has filled its own part of `whole`; afterwards every rank has all of it. parts: one per rank, adjacent.
  virtual void AllGather(std::span<float> whole, std::span<const Part> parts) = 0;
  // Every rank gives its own rows; afterwards the leader's `whole` has all of them. `whole` is empty elsewhere.
  virtual void GatherRowsToLeader(std::span<const float> own, std::span<float> whole, const RowParts& rows) = 0;
  // Afterwards the leader's `values` hold the sum over ranks; the others' are as before.
  virtual void ReduceToLeader(std::span<double> values) = 0;
  // Afterwards every rank's own part of `whole` holds the sum over ranks; the rest of it anything. parts: as
  // AllGather's.
  virtual void ReduceScatter(std::span<double> whole, std::span<const Part> parts) = 0;
  // Afterwards every rank's `bytes` are the leader's (the length too).
  virtual void BroadcastFromLeader(std::vector<std::byte>& bytes) = 0;
};

// A group of one rank.
class LocalCollective : public Collective {
 public:
  int group_rank() const override { return 0; }
  int group_size() const override { return 1; }
  std::unique_ptr<Collective> Duplicate() override { return std::make_unique<LocalCollective>(); }
  void AllGather(std::span<float>, std::span<const Part>) override {}
  void GatherRowsToLeader(std::span<const float> own, std::span<float> whole, const RowParts&) override {
    std::copy(own.begin(), own.end(), whole.begin());
  }
  void ReduceToLeader(std::span<double>) override {}
  void ReduceScatter(std::span<double>, std::span<const Part>) override {}
  void BroadcastFromLeader(std::vector<std::byte>&) override {}
};

// Over an MPI communicator that lives until MPI ends.
class MpiCollective : public Collective {
 public:
  explicit MpiCollective(MPI_Comm group);
  int group_rank() const override { return group_rank_; }
  int group_size() const override { return group_size_; }
  std::unique_ptr<Collective> Duplicate() override;
  void AllGather(std::span<float> whole, std::span<const Part> parts) override;
  void GatherRowsToLeader(std::span<const float> own, std::span<float> whole, const RowParts& rows) override;
  void ReduceToLeader(std::span<double> values) override;
  void ReduceScatter(std::span<double> whole, std::span<const Part> parts) override;
  void BroadcastFromLeader(std::vector<std::byte>& bytes) override;

 private:
  void BroadcastBytes(void* data, std::size_t size);

  MPI_Comm group_;
  int group_rank_ = 0;
  int group_size_ = 1;
};

}  // namespace lcsc
