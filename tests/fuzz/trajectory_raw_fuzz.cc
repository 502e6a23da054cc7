// A trajectory's manifest as bytes, only replayed: mutated bytes end in libhdf5 (docs/fuzzing.md).
#include "fuzz_target.h"
#include "lcsc/store/trajectory.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lcsc;
  const auto path = FileOf("manifest.h5", data, size);
  AllowRefusal([&] {
    const Trajectory trajectory = ReadTrajectory(path.parent_path());
    Expect(trajectory.table.num_elements() >= 0, "a table has no fewer than no elements");
  });
  return 0;
}
