#include "lcsc/config/evaluation_options.h"

namespace lcsc {

void AddEvaluationOptions(OptionSet& set, EvaluationOptions& options) {
  const auto text = [](const char* name, const char* unit, const char* help, bool identity = true) {
    return OptionText{"evaluation", name, unit, help, identity};
  };
  set.Add(text("trajectory", "path", "the packed checkpoints, made by `lcsc pack`", false), &options.trajectory);
  set.Add(text("extractor", "path",
               "the feature extractor: weights of the FID Inception, weights with their network JSON, or a TorchScript "
               "archive",
               false),
          &options.extractor);
  AddExtractorOptions(set, "evaluation", options.extraction);
  set.Add(
      text("reference", "path", "statistics of the real images (.npz with mu, sigma), made by `lcsc reference`", false),
      &options.reference);
  set.AddChoice(
      text("reference_mismatch", "", "a reference made with another protocol or extractor: refuse or allow it"),
      &options.reference_mismatch, {"refuse", "allow"});
  set.Add(text("num_samples", "samples", "images drawn for one score; the paper uses 10000 or 5000"),
          &options.num_samples, {2, 100'000'000});
  set.Add(text("seed", "", "seed of the noise; the search noise and the held-out noise differ in it"), &options.seed,
          {0, std::numeric_limits<std::int64_t>::max()});
  set.Add(text("batch_size", "samples", "samples that go through the network at once; the unit that ranks share out"),
          &options.batch_size, {1, 1'000'000});
  AddSamplerOptions(set, options);
  set.AddChoice(text("quantisation", "",
                     "float image to uint8: openai is trunc((x + 1) * 127.5), edm is "
                     "trunc(x * 127.5 + 128), both clipped to [0, 255]"),
                &options.quantisation, {"openai", "edm"});
  set.AddChoice(text("precision", "",
                     "type of the sampled network's activations; `lcsc denoise --precision` prints what it costs"),
                &options.precision, {"float32", "bf16", "f16"});
  AddObjectiveOptions(set, options);
}

}  // namespace lcsc
