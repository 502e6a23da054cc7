// Descent along the gradient of the objective with respect to the coefficients.
#pragma once

#include <map>
#include <memory>

#include "lcsc/config/search_options.h"
#include "lcsc/search/strategy.h"

namespace lcsc {

class EmaCandidates;

// Adam (Kingma and Ba 2015, Alg. 1) on s_j = a_j + ... + a_K, j >= 2, the coefficients of what lies between
// checkpoints:
//   theta(a) = theta_1 + sum_{j>=2} s_j (theta_j - theta_{j-1}),   dF/ds_j = dF/da_j - dF/da_{j-1},
// for the steps of a training run point in nearly independent directions, while theta_i - theta_1 have most of them in
// common, so that equal steps in all a_i would go much farther along those. Adam's beta_1 is `momentum`: the customary
// 0.9 carries the first steps far beyond the bottom. The sum stays 1. The EMA candidates come
// first, as in Evolution. From each of the `starts` best a descent sets out: at its point x_t it asks for two
// evaluations, the gradient on a block of noise that takes turns with the others of 1..noise_blocks, and for t > 0 that
// is a multiple of judge_every the score on block 0, on which no gradient is ever taken: it decides what the best point
// is. After `patience` scores in a row that were no better, or one without a gradient, the descent goes back to its
// best point with half of the step; the third time, or when the best point itself has no gradient, it ends. A
// `regularisation` above 0 adds its multiple of the squared distance from the start to what is descended on, not to any
// score.
//
// What a descent does depends on its own outcomes alone, whatever the order in which they come.
class Descent : public Strategy {
 public:
  // steps: the training iteration of each checkpoint, ascending, K >= 2.
  Descent(const SearchOptions& options, std::vector<std::int64_t> steps);
  ~Descent() override;

  std::optional<Candidate> Ask() override;
  void Tell(std::int64_t candidate_id, const Outcome& outcome) override;
  bool Finished() const override;
  // At most so many while descents may still end early.
  std::int64_t planned_evaluations() const override;
  SearchState State() const override;
  void Restore(const SearchState& saved) override;
  // Above the id of any candidate that it can ask for.
  std::int64_t id_bound() const;

 private:
  // One descent, at its point x_t.
  struct Path {
    std::int64_t t = 0;
    Coefficients point;
    std::int64_t parent = kNoParent;  // whose gradient led here
    Coefficients start;
    Coefficients best;
    double best_score = 0;
    double step = 0;
    int stale = 0;     // scores since the best one
    int setbacks = 0;  // how often it went back
    int adam_steps = 0;
    std::vector<double> first_moments, second_moments;
    std::optional<Outcome> gradient = {}, score = {};  // of this point
    bool is_judged = true;  // its score was known before: the start, and a best point that it went back to
    bool ended = false;
  };

  std::int64_t NumInitial() const;
  std::int64_t GradientId(std::size_t path) const;
  bool NeedsGradient(const Path& path) const { return path.t < most_steps_; }
  bool NeedsScore(const Path& path) const { return !path.is_judged && path.t % options_.judge_every == 0; }
  void EndAt(std::int64_t most_steps);
  // Candidates whose evaluation can begin now, whether it has or not.
  std::vector<Candidate> Due() const;
  void Admit(Candidate candidate);
  void Begin();
  void Advance(Path& path, std::int64_t gradient_id);
  void Judge(Path& path) const;
  void GoBack(Path& path) const;
  std::vector<double> RegularisedGradient(const Path& path) const;
  void TakeStep(Path& path) const;

  SearchOptions options_;
  std::unique_ptr<const EmaCandidates> initial_;
  std::int64_t most_steps_;  // of a descent
  std::map<std::int64_t, EvaluatedCandidate> told_;
  std::map<std::int64_t, Candidate> asked_;  // not yet told
  std::vector<Path> paths_;                  // empty until all EMA candidates are told
};

}  // namespace lcsc
