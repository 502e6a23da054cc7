// The oracle is the MPI form. Needs a GPU for each rank.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "base/cuda_handles.h"
#include "lcsc/comm/collective_choice.h"
#include "lcsc/comm/group.h"
#include "mpi_world.h"

namespace lcsc {
namespace {

class NcclCollectiveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const World& world = TestWorld();
    gpu_ = FindRankGpu(world.node_local_rank);
    std::vector<RankGpu> ranks(static_cast<std::size_t>(world.world_size));
    LCSC_MPI_CHECK(MPI_Allgather(&gpu_, sizeof gpu_, MPI_BYTE, ranks.data(), sizeof gpu_, MPI_BYTE, MPI_COMM_WORLD));
    if (ChooseCollective(CollectiveKind::kAuto, ranks) != CollectiveKind::kNccl) {
      GTEST_SKIP() << "needs a GPU for each of " << world.world_size << " ranks; rank " << world.world_rank << " sees "
                   << gpu_.num_visible;
    }
    MPI_Comm communicator = MPI_COMM_NULL;
    LCSC_MPI_CHECK(MPI_Comm_dup(MPI_COMM_WORLD, &communicator));
    nccl_ = MakeGroupCollective(communicator, gpu_, CollectiveKind::kNccl);
    mpi_ = JoinWorld(world);
  }

  // Of unequal lengths; the first rank's is empty.
  std::vector<Part> UnequalParts() const {
    std::vector<Part> parts;
    std::int64_t end = 0;
    for (int rank = 0; rank < nccl_->group_size(); ++rank) {
      const std::int64_t size = rank * 1001;
      parts.push_back({end, end + size});
      end += size;
    }
    return parts;
  }

  // -1 but for the rank's own part.
  std::vector<float> OwnPart(std::span<const Part> parts, float factor) const {
    std::vector<float> whole(static_cast<std::size_t>(parts.back().end), -1);
    const Part own = parts[static_cast<std::size_t>(nccl_->group_rank())];
    for (std::int64_t i = own.begin; i < own.end; ++i) {
      whole[static_cast<std::size_t>(i)] = std::sin(factor * static_cast<float>(i));
    }
    return whole;
  }

  RankGpu gpu_;
  std::unique_ptr<Collective> nccl_, mpi_;
};

TEST_F(NcclCollectiveTest, GathersUnequalPartsAsMpiDoes) {
  const std::vector<Part> parts = UnequalParts();
  // The second vector is longer than the first left room for; the third shorter.
  for (const auto& split : {parts, SplitEvenly(100'003, nccl_->group_size()), SplitEvenly(7, nccl_->group_size())}) {
    std::vector<float> found = OwnPart(split, 1), expected = OwnPart(split, 1);
    nccl_->AllGather(found, split);
    mpi_->AllGather(expected, split);
    EXPECT_EQ(found, expected);
    EXPECT_EQ(std::ranges::count(found, -1.0F), 0);
  }
}

TEST_F(NcclCollectiveTest, GathersDeviceMemoryInPlace) {
  const std::vector<Part> parts = UnequalParts();
  std::vector<float> found = OwnPart(parts, 2), expected = found;
  const std::size_t bytes = found.size() * sizeof(float);
  const DeviceMemory memory = AllocateOnDevice(bytes);
  LCSC_CUDA_CHECK(cudaMemcpy(memory.get(), found.data(), bytes, cudaMemcpyHostToDevice));
  nccl_->AllGather({static_cast<float*>(memory.get()), found.size()}, parts);
  LCSC_CUDA_CHECK(cudaMemcpy(found.data(), memory.get(), bytes, cudaMemcpyDeviceToHost));
  mpi_->AllGather(expected, parts);
  EXPECT_EQ(found, expected);
}

TEST_F(NcclCollectiveTest, SumsOnTheLeaderAloneAsMpiDoes) {
  std::vector<double> found;
  for (int i = 0; i < 5000; ++i) found.push_back(std::sin(i + 0.1 * nccl_->group_rank()) * std::pow(10, i % 7));
  const std::vector<double> before = found;
  std::vector<double> expected = found;
  nccl_->ReduceToLeader(found);
  mpi_->ReduceToLeader(expected);
  if (!nccl_->IsLeader()) {
    EXPECT_EQ(found, before);
    return;
  }
  EXPECT_NE(found, before);
  // The order of the sum may differ.
  for (std::size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], expected[i], 1e-15 * nccl_->group_size() * std::pow(10, i % 7)) << i;
  }
}

TEST_F(NcclCollectiveTest, BytesAndRowsArriveAsOverMpi) {
  std::vector<std::byte> bytes(nccl_->IsLeader() ? 5000 : 3, nccl_->IsLeader() ? std::byte{7} : std::byte{1});
  nccl_->BroadcastFromLeader(bytes);
  EXPECT_EQ(bytes, std::vector<std::byte>(5000, std::byte{7}));
  const std::vector<Part> parts = SplitEvenly(nccl_->group_size(), nccl_->group_size());
  const std::vector<float> own(3, static_cast<float>(nccl_->group_rank()));
  std::vector<float> whole(nccl_->IsLeader() ? own.size() * parts.size() : 0);
  nccl_->GatherRowsToLeader(own, whole, {.parts = parts, .row_size = 3});
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(whole[i], static_cast<float>(i / 3));
}

TEST_F(NcclCollectiveTest, ADuplicateMaySpeakInAThreadOfItsOwn) {
  if (!TestWorld().threads_may_communicate) GTEST_SKIP() << "this MPI is not for several threads";
  const auto duplicate = nccl_->Duplicate();
  const std::vector<Part> parts = UnequalParts();
  std::vector<float> expected = OwnPart(parts, 1);
  mpi_->AllGather(expected, parts);
  constexpr int kTimes = 50;
  const std::jthread other([&] {
    for (int time = 0; time < kTimes; ++time) {
      std::vector<double> values(1000, nccl_->group_rank() + 1.0);
      duplicate->ReduceToLeader(values);
      const int size = nccl_->group_size();
      const double sum = size * (size + 1) / 2.0;
      EXPECT_EQ(values.back(), nccl_->IsLeader() ? sum : nccl_->group_rank() + 1.0);
    }
  });
  for (int time = 0; time < kTimes; ++time) {
    std::vector<float> found = OwnPart(parts, 1);
    nccl_->AllGather(found, parts);
    EXPECT_EQ(found, expected);
  }
}

}  // namespace
}  // namespace lcsc
