// Pairs of images from the same noise, by two networks of one trajectory (App. H of the paper).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lcsc/config/evaluation_options.h"
#include "lcsc/search/candidate.h"
#include "lcsc/store/trajectory.h"

namespace lcsc {

struct ImagePair {
  std::int64_t sample = 0;  // of the noise
  double distance = 0;
  std::string ema_png, best_png;  // the bytes of PNG files
};

struct ImagePairs {
  std::vector<ImagePair> pairs;        // the largest distance first
  std::string distance;                // what it is, in words
  std::int64_t width = 0, height = 0;  // of the network's images
  std::int64_t shown_divisor = 1;      // by which the pairs' images are smaller
};

struct PairedCandidates {
  const EvaluatedCandidate& ema;
  const EvaluatedCandidate& best;
};

// Merges both, and draws the first num_pairs samples of the noise that the options name; the distance is that of the
// features when the options name an extractor, else that of the pixels. Throws InputError and ConfigError when that
// cannot be done: damaged shards, an extractor that is gone, images that are neither gray nor RGB or not finite.
ImagePairs DrawPairs(const Trajectory& trajectory, const PairedCandidates& candidates, const EvaluationOptions& options,
                     std::int64_t num_pairs);

}  // namespace lcsc
