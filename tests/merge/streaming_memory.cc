// A program of its own, so that nothing else has raised the peak: a trajectory three times the budget is merged without
// exceeding the budget by more than 10 %, with the bits of the merge in memory.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "lcsc/merge/weight_merger.h"
#include "lcsc/store/packer.h"
#include "support/temp_folder.h"

namespace lcsc {
namespace {

constexpr std::int64_t kCheckpoints = 9, kParameters = 2'000'003;
constexpr std::int64_t kBudgetBytes = kParameters * 4 * kCheckpoints / 3;

std::int64_t PeakBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t kibibytes = 0;
    if (word == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  }
  std::abort();
}

void PackTrajectory(const TempFolder& folder) {
  for (std::int64_t i = 1; i <= kCheckpoints; ++i) {
    WriteSafetensors(folder / ("c-" + std::to_string(i) + ".safetensors"), {{"w", at::randn({kParameters})}},
                     {{"config", "{}"}, {"step", std::to_string(i)}});
  }
  PackOptions options;
  options.checkpoints = folder / "c-*.safetensors";
  options.output = folder / "t.traj";
  options.segment_checkpoints = 4;
  Pack(options);
}

// The rise of the peak by a merger's construction and three merges.
std::int64_t RiseOf(const Trajectory& trajectory, const MergeOptions& options, const at::Tensor& merged) {
  const std::int64_t before = PeakBytes();
  const auto merger = MakeWeightMerger(trajectory, {}, options);
  const std::vector<double> coefficients = {0.5, -0.25, 0.125, 1.5, 0.75, -2, 0.25, 0.1, 0.025};
  for (int i = 0; i < 3; ++i) merger->Merge(coefficients, {merged.data_ptr<float>(), kParameters});
  return PeakBytes() - before;
}

int Run() {
  const TempFolder folder;
  const pid_t packer = ::fork();
  if (packer == 0) {
    PackTrajectory(folder);
    ::_exit(0);
  }
  int status = 1;
  ::waitpid(packer, &status, 0);
  if (status != 0) return 1;

  const Trajectory trajectory = ReadTrajectory(folder / "t.traj");
  const at::Tensor streamed = at::zeros({kParameters}), resident = at::zeros({kParameters});
  RiseOf(trajectory, {kBudgetBytes / 16}, streamed);  // the libraries' own pages
  const std::int64_t rise = RiseOf(trajectory, {kBudgetBytes}, streamed);
  const std::int64_t resident_rise = RiseOf(trajectory, {}, resident);
  const bool is_equal = at::equal(streamed, resident);
  std::printf("budget %.1f MB, trajectory %.1f MB: peak rises by %.1f MB when streamed, by %.1f MB in memory; %s\n",
              static_cast<double>(kBudgetBytes) / 1e6, static_cast<double>(kBudgetBytes) * 3e-6,
              static_cast<double>(rise) / 1e6, static_cast<double>(resident_rise) / 1e6,
              is_equal ? "the same weights" : "other weights");
  // The second condition shows that the peak is measured.
  return rise * 10 <= kBudgetBytes * 11 && resident_rise > 2 * kBudgetBytes && is_equal ? 0 : 1;
}

}  // namespace
}  // namespace lcsc

int main() { return lcsc::Run(); }
