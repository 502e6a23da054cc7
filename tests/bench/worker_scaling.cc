// How much faster two workers search than one, one thread each: the digits network with random weights, the real
// program under mpirun, one worker and two workers in turn so that both see the same machine. Two programs at once show
// what the machine itself allows.
//   lcsc_bench_workers [ROUNDS [SAMPLES]]
#include <algorithm>
#include <cstdio>
#include <thread>

#include "app/run_command.h"
#include "lcsc/base/error.h"
#include "lcsc/base/table.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/metric/frechet.h"
#include "lcsc/model/registry.h"
#include "lcsc/store/packer.h"

namespace lcsc {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kCheckpoints = 32;
constexpr int kFeatures = 64;

Json ExtractorJson() {
  return {{"model_type", "DigitsClassifier"}, {"img_resolution", 8}, {"img_channels", 1}, {"channels", 16},
          {"feature_dim", kFeatures},         {"num_classes", 10}};
}

// Extractor, reference and trajectory of random numbers: what they are does not change the time they take.
void WriteInputs(const fs::path& folder) {
  const auto extractor = MakeFeatureExtractor(ExtractorJson());
  WriteSafetensors(folder / "extractor.safetensors", StateDict(*extractor), {{"config", ExtractorJson().dump()}});
  WriteReference(folder / "reference.npz",
                 {{at::zeros({kFeatures}, at::kDouble), at::eye(kFeatures, at::kDouble)}, ""});
  const Json network = Json::parse(ReadBytes(LCSC_SOURCE_DIR "/configs/digits-network.json"));
  NamedTensors weights = StateDict(*MakeDenoiser(network));
  for (int i = 0; i < kCheckpoints; ++i) {
    for (auto& [name, tensor] : weights) tensor = tensor.detach() + 0.01 * at::randn_like(tensor);
    WriteSafetensors(folder / fmt::format("step-{:02}.safetensors", i + 1), weights, {{"config", network.dump()}});
  }
  PackOptions pack;
  pack.checkpoints = folder / "step-*.safetensors";
  pack.output = folder / "random.traj";
  Pack(pack);
}

// A search of 24 candidates in one generation, after two of the initial population.
class SmallSearch {
 public:
  explicit SmallSearch(std::string samples) : samples_(std::move(samples)) { WriteInputs(folder_.path()); }

  // Evaluations per second of one master and so many workers.
  double Workers(int workers) const { return RateOf(RunCommand(MpiLcsc(workers + 1, Command("run")))); }

  // Evaluations per second of two programs at once that know nothing of each other: what the machine can give.
  double TwoPrograms() const {
    RunningCommand one(Lcsc(Command("one"))), other(Lcsc(Command("other")));
    return RateOf(one.Wait()) + RateOf(other.Wait());
  }

 private:
  Arguments Command(const std::string& run) const {
    fs::remove_all(folder_ / run);
    Arguments command = {"search", "--json", "--run", folder_ / run};
    for (const std::string& assignment :
         {"evaluation.trajectory=" + (folder_ / "random.traj").string(),
          "evaluation.extractor=" + (folder_ / "extractor.safetensors").string(),
          "evaluation.reference=" + (folder_ / "reference.npz").string(), "evaluation.num_samples=" + samples_,
          std::string("search.epochs=1"), std::string("search.children=24"), std::string("search.ema_rates=0,0.5"),
          std::string("run.threads=1")}) {
      command = command + Arguments{"--set", assignment};
    }
    return command;
  }

  static double RateOf(const CommandResult& result) {
    if (result.exit_code != 0) throw std::runtime_error(result.err);
    const Json summary = Json::parse(result.out);
    return summary["evaluations"].get<double>() / summary["seconds"].get<double>();
  }

  TempFolder folder_;
  std::string samples_;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Compare(int rounds, const std::string& samples) {
  const SmallSearch search(samples);
  Table table(
      {"round", "1 worker, 1/s", "2 workers, 1/s", "2 programs, 1/s", "2 workers : 1", "2 workers : 2 programs"});
  std::vector<double> speed_ups, efficiencies;
  for (int round = 1; round <= rounds; ++round) {
    const double one = search.Workers(1), two = search.Workers(2), programs = search.TwoPrograms();
    speed_ups.push_back(two / one);
    efficiencies.push_back(two / programs);
    const auto text = [](double value) { return fmt::format("{:.3f}", value); };
    table.AddRow(
        {fmt::format("{}", round), text(one), text(two), text(programs), text(two / one), text(two / programs)});
  }
  const unsigned cores = std::thread::hardware_concurrency();
  std::printf(
      "%s\n1/s: evaluations a second, %s samples each. Median: 2 workers are %.3f times as fast as 1 (perfect on "
      "%u cores: %u), %.3f times as fast as 2 programs\n",
      table.ToString().c_str(), samples.c_str(), Median(speed_ups), cores, std::min(2u, cores), Median(efficiencies));
}

}  // namespace
}  // namespace lcsc

int main(int argc, char** argv) {
  try {
    lcsc::Compare(argc > 1 ? std::max(1, std::atoi(argv[1])) : 5, argc > 2 ? argv[2] : "2000");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lcsc_bench_workers: %s\n", error.what());
    return 1;
  }
}
