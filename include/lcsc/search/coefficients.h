// Coefficients of a linear combination of K checkpoints in the paper's difference form (Alg. 1):
//   theta(a) = theta_1 + sum_{i>=2} a_i (theta_i - theta_1),   a_1 = 1 - sum_{i>=2} a_i.
// The free variables are a_2..a_K; they may be negative or above 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lcsc {

using Coefficients = std::vector<double>;  // [K], sum 1; a_1 first

// Sets a_1 = 1 - (a_2 + ... + a_K). REQUIRES: K >= 1.
void CompleteFirst(Coefficients& coefficients);

// What a child of Alg. 1 may be (App. F of the paper): anything; convex: in the convex hull of the checkpoints; clip:
// without a coefficient above 1.
enum class Restriction { kNone, kConvex, kClip };
// "none", "convex", "clip". REQUIRES: one of them.
Restriction RestrictionOf(const std::string& name);
// The nearest allowed in the paper's way. convex: those below 0 become 0, then all are divided by their sum. clip:
// a_2..a_K above 1 become 1, and a_1 is what is left, as ever. REQUIRES: their sum is 1.
void Restrict(Coefficients& coefficients, Restriction restriction);

// EMA of rate g per training iteration over checkpoints saved at `steps` (ascending):
//   a_i = (1 - g^(n_i - n_{i-1})) g^(n_K - n_i) for i >= 2, a_1 = g^(n_K - n_1).
// With equal intervals s this is the paper's per-checkpoint rate g^s. rate in [0, 1); 0 is the last checkpoint.
Coefficients EmaCoefficients(double rate, std::span<const std::int64_t> steps);

// 1 at `index`, 0 elsewhere. REQUIRES: index < num_checkpoints.
struct CheckpointIndex {
  std::size_t index;
  std::size_t num_checkpoints;
};
Coefficients SingleCheckpoint(const CheckpointIndex& checkpoint);

// Rates that suit a window of checkpoints: 0 (the last checkpoint), then twelve with time constants 1 / -ln(g) from
// 1/32 of the window to four windows, in geometric progression.
std::vector<double> DefaultEmaRates(std::span<const std::int64_t> steps);

}  // namespace lcsc
