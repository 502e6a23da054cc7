#include "lcsc/service/trace.h"

#include <spdlog/fmt/fmt.h>

#include <fstream>

#include "lcsc/base/atomic_file.h"
#include "lcsc/base/error.h"
#include "lcsc/comm/gather.h"

namespace lcsc {
namespace {

using Microseconds = std::chrono::duration<double, std::micro>;

constexpr std::array<const char*, 4> kRows = {"prepare", "measure", "finish", "in flight"};
constexpr int kInFlightRow = 3;

// The thread of the pipeline in which a stage runs.
int RowOf(Stage stage) {
  switch (stage) {
    case Stage::kMerge:
    case Stage::kGather:
      return 0;
    case Stage::kSample:
    case Stage::kFeatures:
    case Stage::kBackward:
    case Stage::kProject:
      return 1;
    case Stage::kReduce:
    case Stage::kDistance:
      return 2;
  }
  throw InvariantError("no such stage");
}

// The system's clock, at the steady clock's 0.
Microseconds SystemOffset() {
  const auto system = std::chrono::system_clock::now().time_since_epoch();
  return Microseconds(system) - Microseconds(std::chrono::steady_clock::now().time_since_epoch());
}

std::string NameEvent(const char* what, int world_rank, int row, const std::string& name) {
  return fmt::format(",\n{{\"name\":\"{}\",\"ph\":\"M\",\"pid\":{},\"tid\":{},\"args\":{{\"name\":\"{}\"}}}}", what,
                     world_rank, row, name);
}

}  // namespace

Trace::Trace(const World& world) : world_rank_(world.world_rank), offset_us_(SystemOffset().count()) {
  double origin = Microseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  if (world.world_size > 1) LCSC_MPI_CHECK(MPI_Bcast(&origin, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD));
  offset_us_ -= origin;
  const bool is_master = world.world_size > 1 && world_rank_ == 0;
  events_ =
      NameEvent("process_name", world_rank_, 0, fmt::format("rank {}{}", world_rank_, is_master ? " (master)" : ""));
  for (int row = 0; row < static_cast<int>(kRows.size()); ++row) {
    if (is_master == (row == kInFlightRow)) {
      events_ += NameEvent("thread_name", world_rank_, row, kRows.at(static_cast<std::size_t>(row)));
    }
  }
}

double Trace::TimeOf(std::chrono::steady_clock::time_point time) const {
  return Microseconds(time.time_since_epoch()).count() + offset_us_;
}

void Trace::Add(const EvaluationJob& job) {
  for (const StageSpan& span : job.spans) {
    const double begin = TimeOf(span.begin);
    events_ += fmt::format(
        ",\n{{\"name\":\"{}\",\"ph\":\"X\",\"pid\":{},\"tid\":{},\"ts\":{:.1f},\"dur\":{:.1f},"
        "\"args\":{{\"candidate\":{}}}}}",
        NameOf(span.stage), world_rank_, RowOf(span.stage), begin, TimeOf(span.end) - begin, job.candidate.id);
  }
}

void Trace::AddInFlight(const InFlight& candidate) {
  const auto event = [&](char phase, std::chrono::steady_clock::time_point time) {
    return fmt::format(
        ",\n{{\"name\":\"candidate {0}\",\"cat\":\"in flight\",\"ph\":\"{1}\",\"id\":{0},\"pid\":{2},\"tid\":{3},"
        "\"ts\":{4:.1f}}}",
        candidate.id, phase, world_rank_, kInFlightRow, TimeOf(time));
  };
  events_ += event('b', candidate.submitted) + event('e', std::chrono::steady_clock::now());
}

void Trace::Write(const World& world, const std::string& path) const {
  if (world.world_rank != 0) {
    GatherTextsToMaster(world, events_, {});
    return;
  }
  PublishFile(path, [&](const std::filesystem::path& temporary) {
    std::ofstream file(temporary);
    file << R"({"displayTimeUnit":"ms","traceEvents":[{"name":"origin","ph":"i","pid":0,"tid":0,"ts":0,"s":"g"})";
    GatherTextsToMaster(world, events_, [&](const std::string& text) { file << text; });
    file << "\n]}\n";
    if (!file.flush()) throw IoError("{}: cannot write the trace", path);
  });
}

}  // namespace lcsc
