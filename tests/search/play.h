// A strategy and those who evaluate for it, in one thread.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <vector>

#include "lcsc/search/strategy.h"

namespace lcsc {

constexpr std::int64_t kToTheEnd = 1'000'000;

// All that can be asked for is, and then told in a random order, until so many outcomes were told.
inline void PlayWith(Strategy& strategy, const std::function<Outcome(const Candidate&)>& evaluate, std::uint64_t seed,
                     std::int64_t most) {
  std::mt19937_64 random(seed);
  std::vector<Candidate> waiting;
  for (std::int64_t told = 0; !strategy.Finished() && told < most; ++told) {
    while (auto candidate = strategy.Ask()) waiting.push_back(*candidate);
    ASSERT_FALSE(waiting.empty());
    std::swap(waiting[random() % waiting.size()], waiting.back());
    strategy.Tell(waiting.back().id, evaluate(waiting.back()));
    waiting.pop_back();
  }
}

}  // namespace lcsc
