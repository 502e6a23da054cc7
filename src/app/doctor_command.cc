#include <cstdio>

#include "app/command.h"
#include "app/doctor_check.h"
#include "lcsc/comm/gather.h"

namespace lcsc {
namespace {

class DoctorCommand : public Command {
 public:
  std::string name() const override { return "doctor"; }
  std::string summary() const override {
    return "checks what a search needs of the machine, and says what to change; under mpirun also the ranks beside "
           "each other. Exit code 4 when something would fail";
  }

  void AddOptions(OptionSet& set) override {
    set.Add({"", "run", "path", "the run directory to check, in use or yet to be made; overrides run.directory"},
            &run_);
    AddJsonFlag(set, &json_);
    file_.AddOptions(set);
  }

  ExitCode Run(const World& world, OptionSet&) override {
    if (!run_.empty()) file_.run.directory = run_;
    const auto launcher = LauncherOf(OwnEnvironment());
    // Of copies that do not know of each other the first speaks.
    if (!LauncherMismatch(launcher, world.world_size).empty() && launcher->number != 0) return ExitCode::kFailed;
    std::vector<RankFacts> ranks;
    for (const std::string& text : GatherTexts(world, JsonOf(GatherFacts(world, file_.run.threads)).dump())) {
      ranks.push_back(FactsOf(nlohmann::json::parse(text)));
    }
    const std::vector<ClockOffset> offsets = MeasureClockOffsets(world);
    const std::string& folder = file_.run.directory;
    const bool asks_all = world.world_size > 1 && !folder.empty();
    const Finding seen = asks_all ? CheckSeenByAll(world, folder) : Finding{};
    if (world.world_rank != 0) return ExitCode::kDone;
    std::vector<Finding> findings = JudgeRanks(world, launcher, ranks, offsets);
    if (folder.empty()) {
      findings.push_back({"run directory", "not checked: give one with --run"});
    } else {
      for (Finding& finding : CheckRunDirectory(folder)) findings.push_back(std::move(finding));
    }
    if (asks_all) findings.push_back(seen);
    Print(findings);
    return WorstOf(findings) == Verdict::kFail ? ExitCode::kFailed : ExitCode::kDone;
  }

 private:
  static std::vector<Finding> JudgeRanks(const World& world, const std::optional<Launcher>& launcher,
                                         const std::vector<RankFacts>& ranks, const std::vector<ClockOffset>& offsets) {
    std::vector<Finding> findings = {JudgeProgram(ranks), JudgeMpi(world, launcher, ranks)};
    if (!launcher) findings.push_back(JudgeMpirun(MpirunVersion(), MpiLibraryVersion()));
    for (const Finding& finding :
         {JudgeThreads(ranks), JudgeOmpThreads(ranks), JudgeIdleRanks(ranks), JudgeBlas(ranks), JudgeMemory(ranks),
          JudgeGpus(ranks, DescribeGpus()), JudgeLimits(ranks), JudgeClock(ranks, offsets)}) {
      findings.push_back(finding);
    }
    return findings;
  }

  void Print(const std::vector<Finding>& findings) const {
    const std::string text = json_ ? JsonOf(findings).dump() + "\n" : TextOf(findings);
    std::fputs(text.c_str(), stdout);
  }

  std::string run_;
  bool json_ = false;
  ConfigFile file_;
};

}  // namespace

std::unique_ptr<Command> MakeDoctorCommand() { return std::make_unique<DoctorCommand>(); }

}  // namespace lcsc
