// Makes any pool answer in the order of a recorded steady-state search.
#pragma once

#include <map>

#include "lcsc/service/evaluation_pool.h"

namespace lcsc {

// Lets a candidate be submitted when as many outcomes have been handed on as it had seen, and hands outcomes on in the
// recorded order, whoever answers first behind it. A strategy with the recorded options proposes the same candidates
// bit for bit, and when the evaluations give the same scores the whole search is the same.
class ReplayPool : public EvaluationPool {
 public:
  // recorded: a finished steady-state search, by id. The pool behind outlives this one. Throws InputError when the
  // record has no order.
  ReplayPool(EvaluationPool& pool, const std::vector<EvaluatedCandidate>& recorded);

  int num_groups() const override { return pool_.num_groups(); }
  bool HasRoom() const override;
  void Submit(const Candidate& candidate) override;
  std::optional<Result> Wait(double timeout_s) override;
  double Utilisation() const override { return pool_.Utilisation(); }
  std::vector<RankActivity> Activities() const override { return pool_.Activities(); }
  std::optional<Hang> FindHang() const override { return pool_.FindHang(); }
  std::string DescribeGone() const override { return pool_.DescribeGone(); }

 private:
  EvaluationPool& pool_;
  std::vector<std::int64_t> seen_;          // by id
  std::vector<std::int64_t> id_at_;         // by order
  std::map<std::int64_t, Result> waiting_;  // by id: answered before their turn
  std::size_t submitted_ = 0, handed_on_ = 0;
};

}  // namespace lcsc
