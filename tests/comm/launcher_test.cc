#include "lcsc/comm/launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lcsc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(LauncherTest, EachIsKnownByItsVariables) {
  EXPECT_FALSE(LauncherOf({}));
  EXPECT_FALSE(LauncherOf({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "9"}}));  // a batch script, no step
  const auto mpich = LauncherOf({{"PMI_SIZE", "4"}, {"PMI_RANK", "3"}});
  ASSERT_TRUE(mpich);
  EXPECT_EQ(mpich->size, 4);
  EXPECT_EQ(mpich->number, 3);
  EXPECT_THAT(LauncherOf({{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "1"}})->name, HasSubstr("srun"));
  EXPECT_FALSE(LauncherOf({{"PMI_SIZE", "many"}, {"PMI_RANK", "0"}}));
}

TEST(LauncherTest, OpenMpisOwnCountsBeforeWhatItInherits) {
  const auto launcher = LauncherOf({{"OMPI_COMM_WORLD_SIZE", "8"},
                                    {"OMPI_COMM_WORLD_RANK", "5"},
                                    {"SLURM_STEP_NUM_TASKS", "2"},
                                    {"SLURM_PROCID", "1"}});
  ASSERT_TRUE(launcher);
  EXPECT_EQ(launcher->size, 8);
  EXPECT_EQ(LauncherMismatch(launcher, 8), "");
}

TEST(LauncherTest, CopiesThatDoNotKnowOfEachOtherAreAMismatch) {
  EXPECT_EQ(LauncherMismatch(std::nullopt, 1), "");
  EXPECT_EQ(LauncherMismatch(Launcher{"srun", 1, 0}, 1), "");
  EXPECT_THAT(LauncherMismatch(Launcher{"srun", 4, 2}, 1), AllOf(HasSubstr("srun started 4"), HasSubstr("counts 1")));
}

TEST(LauncherTest, FamiliesAreToldByVersionTexts) {
  EXPECT_EQ(MpiFamily("mpirun (Open MPI) 4.1.4"), "Open MPI");
  EXPECT_EQ(MpiFamily("HYDRA build details:\n    Version: 4.0.2"), "MPICH");
  EXPECT_EQ(MpiFamily("Intel(R) MPI Library for Linux* OS, Version 2021.9"), "MPICH");
  EXPECT_EQ(MpiFamily("something else"), "");
  EXPECT_NE(MpiFamily(MpiLibraryVersion()), "") << MpiLibraryVersion();
}

}  // namespace
}  // namespace lcsc
