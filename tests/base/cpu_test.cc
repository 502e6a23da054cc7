#include "lcsc/base/cpu.h"

#include <gtest/gtest.h>
#include <sched.h>

#include "support/temp_folder.h"

namespace lcsc {
namespace {

class CpuQuotaTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    WriteBytes(root_ / path, text);
  }
  std::optional<double> Quota() const { return CpuQuota(root_.path()); }

 private:
  TempFolder root_;
};

TEST_F(CpuQuotaTest, Version2TakesTheTightestOfAllGroupsAbove) {
  EXPECT_FALSE(Quota());
  Write("proc/self/cgroup", "0::/slurm/job_1/step_0\n");
  Write("sys/fs/cgroup/slurm/job_1/step_0/cpu.max", "max 100000\n");
  EXPECT_FALSE(Quota());
  Write("sys/fs/cgroup/slurm/cpu.max", "400000 100000\n");
  EXPECT_EQ(Quota(), 4);
  Write("sys/fs/cgroup/slurm/job_1/cpu.max", "150000 100000\n");
  EXPECT_EQ(Quota(), 1.5);
}

TEST_F(CpuQuotaTest, Version2InAContainerStandsAtTheTop) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(Quota(), 2);
}

TEST_F(CpuQuotaTest, Version1HasTwoFilesPerGroup) {
  Write("proc/self/cgroup", "4:memory:/other\n3:cpu,cpuacct:/job\n1:cpuset:/job\n");
  Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(Quota());
  Write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "50000\n");
  EXPECT_EQ(Quota(), 0.5);
}

TEST(CpuTest, AllowedCoresFollowTheAffinityMask) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  const int last = AllowedCores().back();
  CPU_ZERO(&one);
  CPU_SET(last, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(AllowedCores(), std::vector<int>{last});
  EXPECT_EQ(UsableCores(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace lcsc
