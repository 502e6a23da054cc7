// How much faster two workers search than one, one thread each: the digits network with random weights, the real
// program under mpirun, one worker and two workers in turn so that both see the same machine.
//   lcsc_bench_workers [PAIRS [SAMPLES]]
#include <algorithm>
#include <cstdio>
#include <thread>

#include "app/run_command.h"
#include "lcsc/base/error.h"
#include "lcsc/base/table.h"
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

// Evaluations per second of a search of 24 candidates in one generation, after two of the initial population.
double Rate(const TempFolder& folder, const std::string& samples, int workers) {
  const std::string run = folder / "run";
  const CommandResult result =
      RunCommand(MpiLcsc(workers + 1, {"search", "--json",
                                       "--run",  run,
                                       "--set",  "evaluation.trajectory=" + (folder / "random.traj").string(),
                                       "--set",  "evaluation.extractor=" + (folder / "extractor.safetensors").string(),
                                       "--set",  "evaluation.reference=" + (folder / "reference.npz").string(),
                                       "--set",  "evaluation.num_samples=" + samples,
                                       "--set",  "evaluation.batch_size=250",
                                       "--set",  "search.epochs=1",
                                       "--set",  "search.children=24",
                                       "--set",  "search.ema_rates=0,0.5",
                                       "--set",  "run.threads=1"}));
  if (result.exit_code != 0) throw std::runtime_error(result.err);
  fs::remove_all(run);
  const Json summary = Json::parse(result.out);
  return summary["evaluations"].get<double>() / summary["seconds"].get<double>();
}

void Compare(int pairs, const std::string& samples) {
  const TempFolder folder;
  WriteInputs(folder.path());
  Table table({"pair", "1 worker, evaluations/s", "2 workers, evaluations/s", "ratio"});
  std::vector<double> ratios;
  for (int pair = 1; pair <= pairs; ++pair) {
    const double one = Rate(folder, samples, 1), two = Rate(folder, samples, 2);
    ratios.push_back(two / one);
    table.AddRow({fmt::format("{}", pair), fmt::format("{:.3f}", one), fmt::format("{:.3f}", two),
                  fmt::format("{:.3f}", ratios.back())});
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("%s\n%s samples an evaluation; median ratio %.3f; perfect on %u cores %u\n", table.ToString().c_str(),
              samples.c_str(), ratios[ratios.size() / 2], std::thread::hardware_concurrency(),
              std::min(2u, std::thread::hardware_concurrency()));
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
