// main() of the tests that run under mpirun: fails if any rank fails, or if there are not as many ranks as expected.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "mpi_world.h"

namespace lcsc {

World& TestWorld() {
  static World world;
  return world;
}

}  // namespace lcsc

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  lcsc::World& world = lcsc::TestWorld();
  world = lcsc::StartMpi(&argc, &argv);
  const char* expected = std::getenv("LCSC_EXPECTED_RANKS");
  if (expected == nullptr || std::atoi(expected) != world.world_size) {
    std::fprintf(stderr, "expected %s ranks, found %d\n", expected == nullptr ? "?" : expected, world.world_size);
    lcsc::AbortMpi(1);
  }
  int failed = RUN_ALL_TESTS();
  MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  lcsc::FinishMpi();
  return failed;
}
