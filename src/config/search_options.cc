#include "lcsc/config/search_options.h"

namespace lcsc {

void AddSearchOptions(OptionSet& set, SearchOptions& options) {
  const auto text = [](const char* name, const char* unit, const char* help, bool identity = true) {
    return OptionText{"search", name, unit, help, identity};
  };
  set.AddChoice(text("strategy", "",
                     "evolution: Alg. 1 of the paper, for any objective; gradient: descents along the objective's "
                     "gradient with respect to the coefficients, from the best EMA candidates; hybrid: gradient, and "
                     "then evolution from the points that it went through; cma-es: covariance matrix adaptation, for "
                     "any objective. For gradient and hybrid the objective must consist of fid and kid"),
                &options.strategy, {"evolution", "gradient", "hybrid", "cma-es"});
  set.Add(text("gradient_steps", "steps", "steps of a descent at most; of gradient and hybrid", false),
          &options.gradient_steps, {0, 1'000'000});
  set.Add(text("learning_rate", "coefficient", "Adam's, at first; of gradient and hybrid"), &options.learning_rate,
          {1e-9, 1000});
  set.Add(text("momentum", "per step",
               "Adam's beta_1: what is left of a gradient in the direction of the next step; of gradient and hybrid"),
          &options.momentum, {0, 0.999});
  set.Add(text("starts", "descents", "from so many of the best EMA candidates; of gradient and hybrid"),
          &options.starts, {1, 1000});
  set.Add(text("regularisation", "score per coefficient^2",
               "a descent goes along the gradient of the objective plus so many times the squared distance between its "
               "coefficients and those that it set out from; scores are without it; of gradient and hybrid"),
          &options.regularisation, {0, 1e12});
  set.Add(text("backward_every", "batches",
               "a gradient goes back through one of so many batches, another one at each step, in the place of all: "
               "the statistics are still those of all samples; 1 is the exact gradient; of gradient and hybrid"),
          &options.backward_every, {1, 1'000'000});
  set.Add(text("judge_every", "points",
               "one of so many points of a descent has a score, and can be its best; gradient_steps is a multiple; of "
               "gradient and hybrid"),
          &options.judge_every, {1, 1'000'000});
  set.Add(text("noise_blocks", "blocks",
               "blocks of num_samples samples each, all others than the one that scores are computed on, with which "
               "gradients take turns; of gradient and hybrid"),
          &options.noise_blocks, {1, 1'000'000});
  set.Add(text("patience", "scores",
               "after so many scores in a row that were no better a descent goes back to its best one with half of "
               "the step; the third time it ends; of gradient and hybrid"),
          &options.patience, {1, 1'000'000});
  set.Add(text("seed", "", "seed of parents, crossover and mutation"), &options.seed,
          {0, std::numeric_limits<std::int64_t>::max()});
  set.Add(text("epochs", "generations",
               "Epoch of Alg. 1, or generations of cma-es; may be raised to continue a finished run", false),
          &options.epochs, {0, 1'000'000});
  set.Add(text("children", "candidates", "Iter of Alg. 1: candidates of one generation; at least 5 with cma-es"),
          &options.children, {1, 1'000'000});
  set.Add(text("max_parents", "candidates", "M_CP of Alg. 1: parents are drawn from so many best candidates"),
          &options.max_parents, {1, 1'000'000});
  set.Add(text("crossover_rate", "probability",
               "that each coefficient comes from one of two parents at random; "
               "otherwise the child has all of one parent's"),
          &options.crossover_rate, {0, 1});
  set.Add(text("mutation_std", "1/sqrt(K)",
               "standard deviation of the Gaussian noise on each coefficient a_2..a_K in "
               "the first generation, in units of 1/sqrt(K); of cma-es, of its first distribution"),
          &options.mutation_std, {0, 1000});
  set.Add(text("mutation_decay", "generations", "the standard deviation halves in so many generations; 0 is never"),
          &options.mutation_decay, {0, 1e9});
  set.AddChoice(
      text("restriction", "",
           "none; convex: negative coefficients become 0 and all are divided by their sum; clip: a_2..a_K above "
           "1 become 1 (both from App. F of the paper, where both found worse weights); of evolution"),
      &options.restriction, {"none", "convex", "clip"});
  set.AddChoice(
      text("racing", "",
           "the score is also computed of the first eighth, quarter and half of a child's samples, and a child is "
           "not evaluated to its end that cannot become a parent any more (parents) or the best of all "
           "(best: it may still be a parent, with an estimated score); off: all are, as in the paper; of "
           "evolution and hybrid"),
      &options.racing, {"off", "parents", "best"});
  set.Add(text("race_risk", "probability",
               "that racing stops a child which would have become a parent, or the best; estimated from how the scores "
               "of a part and of all samples go together for the best candidates"),
          &options.race_risk, {1e-9, 0.5});
  set.AddChoice(text("schedule", "",
                     "generational: parents are the best of earlier generations, which all workers finish first "
                     "(Alg. 1); steady-state: the best of what is known when a candidate is drawn, so that no worker "
                     "waits; which one depends on who answers first, and is recorded"),
                &options.schedule, {"generational", "steady-state"});
  set.Add(text("ema_rates", "per iteration",
               "EMA rates that seed the population; none: the last checkpoint and twelve "
               "rates with time constants from 1/32 of the window to four windows"),
          &options.ema_rates, {0, 1});
}

}  // namespace lcsc
