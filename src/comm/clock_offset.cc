#include "lcsc/comm/clock_offset.h"

#include <chrono>

namespace lcsc {
namespace {

constexpr int kTag = 101;  // beside MessageTag's and gather.cc's
constexpr int kQuestions = 5;

double ClockSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double Receive(int world_rank) {
  double value = 0;
  LCSC_MPI_CHECK(MPI_Recv(&value, 1, MPI_DOUBLE, world_rank, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
  return value;
}

void Send(double value, int world_rank) {
  LCSC_MPI_CHECK(MPI_Send(&value, 1, MPI_DOUBLE, world_rank, kTag, MPI_COMM_WORLD));
}

// The answer that came back soonest says most.
ClockOffset Ask(int world_rank) {
  ClockOffset best{.seconds = 0, .uncertainty = 1e9};
  for (int question = 0; question < kQuestions; ++question) {
    const double asked = ClockSeconds();
    Send(asked, world_rank);
    const double there = Receive(world_rank), answered = ClockSeconds();
    const double uncertainty = (answered - asked) / 2;
    if (uncertainty < best.uncertainty) best = {there - (asked + answered) / 2, uncertainty};
  }
  return best;
}

}  // namespace

std::vector<ClockOffset> MeasureClockOffsets(const World& world) {
  if (world.world_rank != 0) {
    for (int question = 0; question < kQuestions; ++question) {
      Receive(0);
      Send(ClockSeconds(), 0);
    }
    return {};
  }
  std::vector<ClockOffset> offsets(1);
  for (int rank = 1; rank < world.world_size; ++rank) offsets.push_back(Ask(rank));
  return offsets;
}

}  // namespace lcsc
