#include "lcsc/config/evaluation_options.h"

namespace lcsc {
namespace {

OptionText TextOf(const char* name, const char* unit, const char* help) {
  return OptionText{"evaluation", name, unit, help, /*identity=*/true};
}

void AddKarrasOptions(OptionSet& set, EvaluationOptions& options) {
  set.Add(
      TextOf("sigma_min", "sigma",
             "smallest noise level of the samplers; ddim, dpm-solver and dpm-solver++ take a discrete process's own"),
      &options.sigma_min, {1e-9, 1e6});
  set.Add(TextOf("sigma_max", "sigma", "largest noise level, likewise"), &options.sigma_max, {1e-9, 1e6});
  set.Add(TextOf("rho", "", "exponent of the Karras grid of noise levels"), &options.rho, {1, 100});
  set.Add(TextOf("s_churn", "",
                 "karras-heun, edm-heun: fresh noise in all steps together (Karras et al. 2022, Alg. 2); 0 is none"),
          &options.s_churn, {0, 1e6});
  set.Add(TextOf("s_min", "sigma", "lowest noise level that gets fresh noise by s_churn"), &options.s_min, {0, 1e6});
  set.Add(TextOf("s_max", "sigma", "highest noise level that gets fresh noise by s_churn"), &options.s_max, {0, 1e6});
  set.Add(TextOf("s_noise", "", "standard deviation of the fresh noise by s_churn"), &options.s_noise, {0, 100});
}

void AddSolverOptions(OptionSet& set, EvaluationOptions& options) {
  set.Add(TextOf("eta", "", "ddim: share of fresh noise; 0 is deterministic, 1 is DDPM's ancestral sampling"),
          &options.eta, {0, 1});
  set.AddChoice(TextOf("method", "",
                       "dpm-solver, dpm-solver++: singlestep makes the calls of a step inside it and ends with lower "
                       "orders; multistep makes one call a step and looks back"),
                &options.method, {"singlestep", "multistep"});
  set.Add(TextOf("order", "", "dpm-solver, dpm-solver++: order of accuracy"), &options.order, {1, 3});
  set.AddChoice(TextOf("skip", "",
                       "spacing of the times: equal steps of t, of the log signal-to-noise ratio, of the root of t; "
                       "for ddim time_uniform is its 'uniform' and time_quadratic its 'quad'"),
                &options.skip, {"time_uniform", "logsnr", "time_quadratic"});
  set.AddChoice(TextOf("lower_order_final", "",
                       "multistep dpm-solver, dpm-solver++: of fewer than 10 steps, the last have lower orders"),
                &options.lower_order_final, {"on", "off"});
  set.AddChoice(TextOf("denoise_to_zero", "",
                       "dpm-solver, dpm-solver++: denoise the result once more, with one more call of the network"),
                &options.denoise_to_zero, {"on", "off"});
}

}  // namespace

void AddSamplerOptions(OptionSet& set, EvaluationOptions& options) {
  set.AddChoice(
      TextOf("sampler", "",
             "consistency: one step, or several with consistency_sigmas or ts; karras-euler, karras-heun, "
             "karras-ancestral: consistency_models' on the Karras grid, denoised images clamped; edm-heun: EDM's, in "
             "float64; ddim; dpm-solver; dpm-solver++. docs/samplers.md tells of each; options that a sampler does not "
             "know are ignored"),
      &options.sampler,
      {"consistency", "karras-euler", "karras-heun", "karras-ancestral", "edm-heun", "ddim", "dpm-solver",
       "dpm-solver++"});
  set.Add(TextOf("steps", "steps",
                 "steps of the sampler. Function evaluations: as many (karras-euler, karras-ancestral, dpm-solver, "
                 "dpm-solver++), 2 * steps - 1 (karras-heun, edm-heun), as many or, where they do not divide the "
                 "network's steps, a few more (ddim). consistency with ts: points of the grid"),
          &options.steps, {1, 10000});
  set.Add(TextOf("consistency_sigmas", "sigma",
                 "noise levels of the consistency sampler's steps after the first, descending; none is one-step "
                 "sampling. Two-step sampling has 0.821 for CIFAR-10 and 1.526 for ImageNet-64"),
          &options.consistency_sigmas, {0, 1e6});
  set.Add(TextOf("ts", "",
                 "the same as consistency_models writes it: indices into the Karras grid of `steps` points, from 0 to "
                 "steps - 1, such as 0,17,39 with steps = 40; instead of consistency_sigmas"),
          &options.ts, {0, 1e6});
  AddKarrasOptions(set, options);
  AddSolverOptions(set, options);
}

}  // namespace lcsc
