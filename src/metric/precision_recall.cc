#include "lcsc/metric/precision_recall.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "lcsc/base/error.h"
#include "lcsc/metric/feature_check.h"

namespace lcsc {
namespace {

// Rows of each side whose distances are in memory together: 8 MiB of them.
constexpr std::int64_t kComparedRows = 1024;
// Neighbours kept beyond the k-th: as many may be too close to it for the products' rounding to tell them apart.
constexpr std::int64_t kSpareNeighbours = 8;

template <typename X, typename Y>
double SumOfSquaredDifferences(const X* x, const Y* y, std::int64_t dim) {
  double sum = 0;
  for (std::int64_t i = 0; i < dim; ++i) {
    const double difference = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    sum += difference * difference;
  }
  return sum;
}

// A set of points, as they are and as blocks for matrix products.
class Points {
 public:
  // Moving both sets by the same centre keeps the products' rounding small when all points are far from 0.
  Points(const at::Tensor& features, const at::Tensor& center)
      : exact_(features.to(features.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).contiguous()),
        center_(center),
        squared_norms_(at::empty({features.size(0)}, at::kDouble)) {
    for (std::int64_t begin = 0; begin < size(); begin += kComparedRows) {
      squared_norms_.slice(0, begin, BlockEnd(begin)).copy_(Block(begin).square().sum(1));
    }
    largest_squared_norm_ = squared_norms_.max().item<double>();
    if (!(largest_squared_norm_ < std::numeric_limits<double>::max() / 8)) {
      throw MetricError("precision and recall: squared distances overflow; the features are too large");
    }
  }

  std::int64_t size() const { return exact_.size(0); }
  std::int64_t dim() const { return exact_.size(1); }
  std::int64_t BlockEnd(std::int64_t begin) const { return std::min(begin + kComparedRows, size()); }
  at::Tensor Block(std::int64_t begin) const {
    return exact_.slice(0, begin, BlockEnd(begin)).to(at::kDouble) - center_;
  }
  double squared_norm(std::int64_t i) const { return squared_norms_.data_ptr<double>()[i]; }
  double largest_squared_norm() const { return largest_squared_norm_; }

  // Difference by difference: symmetric, and 0 exactly for equal points.
  double SquaredDistance(std::int64_t i, const Points& other, std::int64_t j) const {
    return WithRow(i, [&](const auto* x) {
      return other.WithRow(j, [&](const auto* y) { return SumOfSquaredDifferences(x, y, dim()); });
    });
  }

  // How far |x|^2 + |y|^2 - 2 x.y and the sum of squared differences can lie apart, for norms that add up to this: the
  // roundings of three sums of d terms, bounded generously.
  double Tolerance(double squared_norms) const {
    return 8 * static_cast<double>(dim() + 8) * std::numeric_limits<double>::epsilon() * squared_norms;
  }

 private:
  template <typename Visit>
  double WithRow(std::int64_t i, const Visit& visit) const {
    return exact_.scalar_type() == at::kFloat ? visit(exact_.data_ptr<float>() + i * dim())
                                              : visit(exact_.data_ptr<double>() + i * dim());
  }

  at::Tensor exact_;  // float32 or float64, which hold every narrower type exactly
  at::Tensor center_, squared_norms_;
  double largest_squared_norm_ = 0;
};

// The scalar products of a block of points with a block of others.
struct Products {
  const Points& rows;
  const Points& columns;
  std::int64_t first_row, first_column;
  at::Tensor values;  // float64 [block rows, block columns], contiguous

  Products Transposed() const { return {columns, rows, first_column, first_row, values.t().contiguous()}; }

  // Calls visit(i, j, squared distance) for the points of one row until it returns false.
  template <typename Visit>
  void VisitRow(std::int64_t row, const Visit& visit) const {
    const double* products = values.data_ptr<double>() + row * values.size(1);
    const std::int64_t i = first_row + row;
    for (std::int64_t column = 0; column < values.size(1); ++column) {
      const std::int64_t j = first_column + column;
      if (!visit(i, j, rows.squared_norm(i) + columns.squared_norm(j) - 2 * products[column])) return;
    }
  }

  // Calls work(row) for all rows on all threads.
  template <typename Work>
  void ForEachRow(const Work& work) const {
    at::parallel_for(0, values.size(0), 32, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) work(row);
    });
  }
};

struct Neighbour {
  double squared_distance = std::numeric_limits<double>::infinity();
  std::int64_t index = -1;
};

// The squared radii of the balls around a set's points.
class Manifold {
 public:
  Manifold(const Points& points, std::int64_t k)
      : points_(points), k_(k), kept_(std::min(k + kSpareNeighbours, points.size() - 1)) {
    neighbours_.resize(static_cast<std::size_t>(points.size() * kept_));
    for (std::int64_t i = 0; i < points.size(); i += kComparedRows) {
      const at::Tensor block = points.Block(i);
      Keep({points, points, i, i, block.mm(block.t())});
      for (std::int64_t j = i + kComparedRows; j < points.size(); j += kComparedRows) {
        const Products products{points, points, i, j, block.mm(points.Block(j).t())};
        Keep(products);
        Keep(products.Transposed());
      }
    }
    squared_radii_.resize(static_cast<std::size_t>(points.size()));
    at::parallel_for(0, points.size(), 32, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) squared_radii_[static_cast<std::size_t>(i)] = SquaredRadius(i);
    });
    neighbours_ = {};
  }

  double squared_radius(std::int64_t i) const { return squared_radii_[static_cast<std::size_t>(i)]; }

 private:
  Neighbour* NeighboursOf(std::int64_t i) { return neighbours_.data() + i * kept_; }

  // Inserts what is nearer than the farthest that is kept; the nearest stand first.
  void Keep(const Products& products) {
    products.ForEachRow([&](std::int64_t row) {
      products.VisitRow(row, [&](std::int64_t i, std::int64_t j, double squared_distance) {
        Neighbour* const kept = NeighboursOf(i);
        if (i == j || !(squared_distance < kept[kept_ - 1].squared_distance)) return true;
        std::int64_t place = kept_ - 1;
        for (; place > 0 && squared_distance < kept[place - 1].squared_distance; --place) kept[place] = kept[place - 1];
        kept[place] = {squared_distance, j};
        return true;
      });
    });
  }

  // The k-th smallest of the distances computed exactly. All that can be it are among the kept neighbours unless even
  // the last of these is within the rounding of the k-th.
  double SquaredRadius(std::int64_t i) {
    const Neighbour* const kept = NeighboursOf(i);
    const double tolerance = points_.Tolerance(points_.squared_norm(i) + points_.largest_squared_norm());
    const double limit = kept[k_ - 1].squared_distance + 2 * tolerance;
    std::vector<double> exact;
    for (std::int64_t n = 0; n < kept_ && kept[n].squared_distance <= limit; ++n) {
      exact.push_back(points_.SquaredDistance(i, points_, kept[n].index));
    }
    const bool complete = static_cast<std::int64_t>(exact.size()) < kept_ || kept_ == points_.size() - 1;
    const double radius = KthSmallest(exact);
    if (complete || radius == 0) return radius;
    exact.clear();
    for (std::int64_t j = 0; j < points_.size(); ++j) {
      if (j != i) exact.push_back(points_.SquaredDistance(i, points_, j));
    }
    return KthSmallest(exact);
  }

  double KthSmallest(std::vector<double>& values) const {
    const auto kth = values.begin() + (k_ - 1);
    std::nth_element(values.begin(), kth, values.end());
    return *kth;
  }

  const Points& points_;
  std::int64_t k_, kept_;
  std::vector<Neighbour> neighbours_;  // [n, kept], sorted
  std::vector<double> squared_radii_;
};

// Which of a set's points lie inside another set's manifold.
class Members {
 public:
  explicit Members(const Points& points) : inside_(static_cast<std::size_t>(points.size()), 0) {}

  void Mark(const Products& products, const Manifold& manifold) {
    products.ForEachRow([&](std::int64_t row) {
      std::uint8_t& inside = inside_[static_cast<std::size_t>(products.first_row + row)];
      if (inside != 0) return;
      products.VisitRow(row, [&](std::int64_t i, std::int64_t j, double squared_distance) {
        const double beyond = squared_distance - manifold.squared_radius(j);
        const double tolerance =
            products.rows.Tolerance(products.rows.squared_norm(i) + products.columns.squared_norm(j));
        if (beyond > tolerance) return true;
        inside =
            beyond < -tolerance || products.rows.SquaredDistance(i, products.columns, j) <= manifold.squared_radius(j);
        return inside == 0;
      });
    });
  }

  double Share() const {
    return static_cast<double>(std::count(inside_.begin(), inside_.end(), 1)) / static_cast<double>(inside_.size());
  }

 private:
  std::vector<std::uint8_t> inside_;
};

}  // namespace

struct PrecisionRecallReference::Prepared {
  Prepared(const at::Tensor& features, std::int64_t neighbours)
      : k(neighbours),
        center(features.mean(0, /*keepdim=*/false, at::kDouble)),
        points(features, center),
        manifold(points, k) {}

  std::int64_t k;
  at::Tensor center;
  Points points;
  Manifold manifold;
};

PrecisionRecallReference::PrecisionRecallReference(const at::Tensor& features, int k) {
  if (k < 1) throw MetricError("precision and recall: expected a k of at least 1, found {}", k);
  CheckFeatures(features, {"reference features", /*min_rows=*/k + 1});
  prepared_ = std::make_unique<const Prepared>(features, k);
}

PrecisionRecallReference::~PrecisionRecallReference() = default;

PrecisionRecall PrecisionRecallReference::Compare(const at::Tensor& generated) const {
  const Points& real = prepared_->points;
  CheckGenerated(generated, {prepared_->k + 1, real.dim()});
  const Points made(generated, prepared_->center);
  const Manifold made_manifold(made, prepared_->k);
  Members made_in_real(made), real_in_made(real);
  for (std::int64_t i = 0; i < made.size(); i += kComparedRows) {
    const at::Tensor block = made.Block(i);
    for (std::int64_t j = 0; j < real.size(); j += kComparedRows) {
      const Products products{made, real, i, j, block.mm(real.Block(j).t())};
      made_in_real.Mark(products, prepared_->manifold);
      real_in_made.Mark(products.Transposed(), made_manifold);
    }
  }
  const double precision = made_in_real.Share(), recall = real_in_made.Share();
  return {precision, recall, precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0};
}

PrecisionRecall ImprovedPrecisionRecall(const at::Tensor& generated, const at::Tensor& reference, int k) {
  return PrecisionRecallReference(reference, k).Compare(generated);
}

}  // namespace lcsc
