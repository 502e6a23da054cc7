// First a descent, then evolution around the points that it went through.
#pragma once

#include <memory>

#include "lcsc/search/descent.h"
#include "lcsc/search/evolution.h"

namespace lcsc {

// The points that Descent had scored, the EMA candidates among them, are the population from which Evolution draws the
// first children. Ids leave a gap between the two, so that a descent which ends early changes no later id.
class Hybrid : public Strategy {
 public:
  // steps: the training iteration of each checkpoint, ascending, K >= 2.
  Hybrid(const SearchOptions& options, std::vector<std::int64_t> steps);

  std::optional<Candidate> Ask() override;
  void Tell(std::int64_t candidate_id, const Outcome& outcome) override;
  bool Finished() const override { return evolution_ && evolution_->Finished(); }
  std::int64_t planned_evaluations() const override;
  SearchState State() const override;
  // search.gradient_steps must be what it was.
  void Restore(const SearchState& saved) override;

 private:
  void BeginEvolution();

  SearchOptions options_;
  std::vector<std::int64_t> steps_;
  Descent descent_;
  std::unique_ptr<Evolution> evolution_;  // null until the descents have ended
};

}  // namespace lcsc
