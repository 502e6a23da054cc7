// One whole candidate, stage by stage, for candidate_compare.py.
//   lcsc_bench_candidate FOLDER digits|ncsnpp CHECKPOINTS SAMPLES BATCH THREADS
// Makes the checkpoints of a run that never was, their trajectory, an extractor, a reference and the noise in FOLDER;
// prints a line of JSON: the machine's rates and what the stages cost at least. Then answers each line of standard
// input with a line of JSON: "stages" with the seconds of the stages of one candidate and its score, "overlap N" with
// the seconds of N candidates on their way through the pipeline.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>

#include "lcsc/comm/collective.h"
#include "lcsc/io/safetensors.h"
#include "lcsc/metric/frechet.h"
#include "lcsc/model/registry.h"
#include "lcsc/model/threads.h"
#include "lcsc/sample/noise.h"
#include "lcsc/service/candidate_evaluator.h"
#include "lcsc/service/machine_bench.h"
#include "lcsc/service/pipeline.h"
#include "lcsc/store/packer.h"
#include "support/formula_weights.h"

namespace lcsc {
namespace {

using Json = nlohmann::json;

struct Setting {
  Json network;
  std::optional<Json> extractor;  // nullopt: the Inception
  std::int64_t num_checkpoints = 2;
};

Json ReadJson(const std::string& path) { return Json::parse(std::ifstream(path)); }

Setting SettingOf(const std::string& name, std::int64_t num_checkpoints) {
  const std::string configs = LCSC_SOURCE_DIR "/configs/";
  if (name == "digits") {
    const Json extractor = {{"model_type", "DigitsClassifier"},
                            {"img_resolution", 8},
                            {"img_channels", 1},
                            {"feature_dim", 64},
                            {"num_classes", 10}};
    return {ReadJson(configs + "digits-network.json"), extractor, num_checkpoints};
  }
  Json network = ReadJson(configs + "cifar10-ncsnpp-network.json");
  network["precond"] = "EDMPrecond";
  network["model_channels"] = 64;
  for (const char* key : {"sigma_min", "sigma_max"}) network.erase(key);
  return {network, std::nullopt, num_checkpoints};
}

// Weights of a trained size: fresh ones make every residual branch almost zero.
void Randomise(Denoiser& network) {
  const at::NoGradGuard no_grad;
  for (at::Tensor& weight : network.parameters()) {
    if (weight.dim() > 1) {
      weight.normal_(0, 1 / std::sqrt(static_cast<double>(weight[0].numel())));
    } else {
      weight.add_(at::randn_like(weight), 0.1);
    }
  }
}

void WriteCheckpoints(const Setting& setting, const std::string& folder) {
  const auto network = MakeDenoiser(setting.network);
  Randomise(*network);
  const at::NoGradGuard no_grad;
  for (std::int64_t i = 0; i < setting.num_checkpoints; ++i) {
    for (at::Tensor& weight : network->parameters()) weight.add_(at::randn_like(weight), 1e-3);
    WriteSafetensors(fmt::format("{}/step-{:04}.safetensors", folder, 10 * (i + 1)), StateDict(*network),
                     {{"config", setting.network.dump()}, {"step", std::to_string(10 * (i + 1))}});
  }
}

void WriteExtractor(const Setting& setting, const std::string& path) {
  if (!setting.extractor) return WriteSafetensors(path, InceptionFormulaWeights());
  const auto extractor = MakeFeatureExtractor(*setting.extractor);
  WriteSafetensors(path, StateDict(*extractor), {{"config", setting.extractor->dump()}});
}

// Of random images: a covariance of full rank needs a little more.
void WriteReferenceOf(FeatureExtractor& extractor, const ImageShape& shape, const std::string& path) {
  const at::Tensor images = at::randint(0, 256, {32, shape.channels, shape.height, shape.width}, at::kByte);
  const at::Tensor found = extractor.Features(images).to(at::kDouble);
  const std::int64_t dim = found.size(1);
  const at::Tensor spread = at::randn({dim, dim}, at::kDouble) * (found.std() / std::sqrt(static_cast<double>(dim)));
  WriteReference(path, {{found.mean(0), spread.mm(spread.t()), 50000}, "", {}});
}

class CandidateBench {
 public:
  CandidateBench(const Setting& setting, const EvaluationOptions& options, const std::string& folder)
      : setting_(setting), options_(options), folder_(folder) {
    at::manual_seed(1);
    WriteCheckpoints(setting_, folder);
    WriteExtractor(setting_, options_.extractor);
    PackOptions pack;
    pack.checkpoints = folder + "/step-*.safetensors";
    pack.output = options_.trajectory;
    Pack(pack);
    candidate_.coefficients.assign(static_cast<std::size_t>(setting.num_checkpoints), 0);
    const at::Tensor moves = at::randn({setting.num_checkpoints}, at::kDouble);
    for (std::int64_t i = 0; i < setting.num_checkpoints; ++i) {
      candidate_.coefficients[static_cast<std::size_t>(i)] =
          (1 + 0.1 * moves[i].item<double>()) / static_cast<double>(setting.num_checkpoints);
    }
  }

  // Writes what is left to write, and describes the machine and the work.
  Json Prepare() {
    const c10::InferenceMode no_gradients;
    const auto network = MakeDenoiser(setting_.network);
    network->eval();
    const ImageShape shape{network->img_channels(), network->img_resolution(), network->img_resolution()};
    const at::Tensor noise = SampleNoise(static_cast<std::uint64_t>(options_.seed), {0, options_.num_samples}, shape);
    WriteSafetensors(folder_ + "/io.safetensors",
                     {{"noise", noise}, {"coefficients", at::tensor(candidate_.coefficients, at::kDouble)}});
    const double network_flops =
        CountFlops([&] { network->Denoise(noise.slice(0, 0, 1), at::full({1}, options_.sigma_max), {}); });
    const auto extractor = LoadFeatureExtractor(options_.extractor, options_.extraction);
    const at::Tensor black = at::zeros({1, shape.channels, shape.height, shape.width}, at::kByte);
    const double features_flops = CountFlops([&] { extractor->Features(black); });
    WriteReferenceOf(*extractor, shape, options_.reference);
    evaluator_ = std::make_unique<CandidateEvaluator>(options_, group_, EvaluatorLimits{});
    const MachineRates rates = MeasureMachine();
    const double parameters = static_cast<double>(ReadTrajectory(options_.trajectory).table.num_elements());
    const double images = static_cast<double>(options_.num_samples);
    const double merge_bytes = 4 * parameters * static_cast<double>(setting_.num_checkpoints + 1);
    return {{"parameters", parameters},
            {"copy_bytes_per_second", rates.copy_bytes_per_second},
            {"product_flops_per_second", rates.product_flops_per_second},
            {"convolution_flops_per_second", rates.convolution_flops_per_second},
            {"network_flops", network_flops},
            {"features_flops", features_flops},
            {"floors",
             {{"merge", merge_bytes / rates.copy_bytes_per_second},
              {"sample", network_flops * images / rates.convolution_flops_per_second},
              {"features", features_flops * images / rates.convolution_flops_per_second}}}};
  }

  Json Stages() {
    const Outcome outcome = evaluator_->Evaluate(candidate_);
    if (!outcome.score) throw std::runtime_error(outcome.failure);
    const StageSeconds& seconds = outcome.seconds;
    return {{"merge", seconds.merge + seconds.gather},
            {"sample", seconds.sample},
            {"features", seconds.features},
            {"distance", seconds.reduce + seconds.distance},
            {"score", *outcome.score}};
  }

  double OverlapSeconds(int num_candidates) {
    int sent = 0;
    std::exception_ptr failure;
    const auto begin = std::chrono::steady_clock::now();
    RunPipeline(*evaluator_,
                {.next =
                     [&](int) {
                       if (sent == num_candidates) return std::vector<Candidate>{};
                       ++sent;
                       return std::vector<Candidate>{candidate_};
                     },
                 .done = [](const EvaluationJob&) {},
                 .abandoned = {},
                 .failed = [&](std::exception_ptr error) { failure = std::move(error); }},
                Overlap::kOn);
    if (failure) std::rethrow_exception(failure);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

 private:
  Setting setting_;
  EvaluationOptions options_;
  std::string folder_;
  Candidate candidate_;
  LocalCollective group_;
  std::unique_ptr<CandidateEvaluator> evaluator_;
};

int Main(const std::vector<std::string>& arguments) {
  if (arguments.size() != 6)
    throw std::runtime_error("expected FOLDER digits|ncsnpp CHECKPOINTS SAMPLES BATCH THREADS");
  const std::string& folder = arguments[0];
  SetArithmeticThreads(std::stoi(arguments[5]));
  EvaluationOptions options;
  options.trajectory = folder + "/bench.traj";
  options.extractor = folder + "/extractor.safetensors";
  options.reference = folder + "/reference.npz";
  options.extraction.protocol = "pytorch-fid";
  options.num_samples = std::stoll(arguments[3]);
  options.batch_size = std::stoll(arguments[4]);
  CandidateBench bench(SettingOf(arguments[1], std::stoll(arguments[2])), options, folder);
  std::cout << bench.Prepare().dump() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const bool overlap = line.starts_with("overlap ");
    std::cout << (overlap ? Json(bench.OverlapSeconds(std::stoi(line.substr(8)))) : bench.Stages()).dump() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace lcsc

int main(int argc, char** argv) {
  try {
    return lcsc::Main({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lcsc_bench_candidate: %s\n", error.what());
    return 1;
  }
}
