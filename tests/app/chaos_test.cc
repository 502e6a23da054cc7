// A search that is killed at random moments and run again each time ends as the one that nobody disturbed.
// LCSC_CHAOS_KILLS is the number of kills (10) for Alg. 1, and 40 % of it for each other strategy; LCSC_CHAOS_SEED the
// seed of the moments (1).
#include <cmath>
#include <random>

#include "app/resumable_search.h"

namespace lcsc {
namespace {

std::int64_t FromEnvironment(const char* name, std::int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoll(text);
}

// Of the process as it was started; -1 for one that is no rank.
int RankOf(pid_t process) {
  const std::string environment = ReadBytes("/proc/" + std::to_string(process) + "/environ");
  const std::string key = "OMPI_COMM_WORLD_RANK=";
  const std::size_t at = environment.find(key);
  return at == std::string::npos ? -1 : std::atoi(environment.c_str() + at + key.size());
}

struct Case {
  const char* name;
  Arguments options;
  std::int64_t percent_of_kills = 40;
};

class ChaosTest : public ResumableSearch, public ::testing::WithParamInterface<Case> {
 protected:
  static constexpr int kRanks = 3;

  static Arguments Search(const std::string& run, const Arguments& more = {}) {
    return ResumableSearch::Search(run, GetParam().options + more);
  }

  // Kills the master, a worker, or all, a while after the start; false when the search was done before.
  bool KillOnce(const std::string& run) {
    RunningCommand command(MpiLcsc(kRanks, Search(run, {"--set", "run.snapshot_interval_s=0.2"})));
    const std::int64_t outcomes = OutcomesOf(run);
    // Every third time at any moment from the start on, else after the first new outcomes.
    const bool anywhere = random_() % 3 == 0;
    const std::chrono::milliseconds delay(random_() % (anywhere ? 1500 : 300));
    if (!anywhere && !command.WaitUntil([&] { return OutcomesOf(run) > outcomes; })) return false;
    std::this_thread::sleep_for(delay);
    const int victim = static_cast<int>(random_() % (kRanks + 1));
    if (victim == kRanks) {
      ++kills_["all"];
      command.KillAll();
      return true;
    }
    for (const pid_t process : Descendants(command.pid())) {
      if (RankOf(process) != victim) continue;
      ++kills_[victim == 0 ? "master" : "worker"];
      ::kill(process, SIGKILL);
    }
    return command.Wait().exit_code != 0;
  }

  std::mt19937 random_{static_cast<std::uint32_t>(FromEnvironment("LCSC_CHAOS_SEED", 1))};
  std::map<std::string, int> kills_;
};

TEST_P(ChaosTest, KillsAtRandomMomentsChangeNothing) {
  const std::string name = GetParam().name;
  const std::int64_t kills = FromEnvironment("LCSC_CHAOS_KILLS", 10) * GetParam().percent_of_kills / 100;
  const std::string calm = name + "-undisturbed";
  const nlohmann::json undisturbed = project_->CandidatesOf(MpiLcsc(kRanks, Search(calm)), calm);
  int searches = 0;
  for (std::int64_t done = 0; done < kills;) {
    const std::string run = name + "-chaos-" + std::to_string(searches++);
    while (done < kills && KillOnce(run)) ++done;
    EXPECT_EQ(project_->CandidatesOf(MpiLcsc(kRanks, Search(run)), run), undisturbed) << run;
  }
  std::printf("%s: %lld kills (%d of the master, %d of a worker, %d of all) in %d searches\n", name.c_str(),
              static_cast<long long>(kills), kills_["master"], kills_["worker"], kills_["all"], searches);
}

INSTANTIATE_TEST_SUITE_P(
    Strategies, ChaosTest,
    testing::Values(Case{"Evolution", {}, 100},
                    Case{"Hybrid", {"--set", "search.strategy=hybrid", "--set", "search.gradient_steps=8"}},
                    Case{"CmaEs", {"--set", "search.strategy=cma-es"}},
                    Case{"Racing", {"--set", "search.racing=best", "--set", "evaluation.batch_size=20"}}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace lcsc
