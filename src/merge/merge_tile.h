// The body of the functions of merge_columns.h, over a type of vector. Included by one source file per instruction set,
// each with compiler flags of its own: everything here has internal linkage and no code of the standard library is
// instantiated, or else the linker could choose a copy for a newer machine than the one that runs it.
#pragma once

#include <utility>

#include "merge_columns.h"

#if defined(__clang__)
#define LCSC_UNROLL _Pragma("unroll")
#else
#define LCSC_UNROLL _Pragma("GCC unroll 16")
#endif

namespace lcsc {
namespace {

constexpr std::int64_t kCacheLine = 64;

constexpr std::int64_t Smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// Prefetches the rows of a block, each from end to end, a few cache lines at a time, into the second-level cache.
template <typename Element>
struct RowPrefetcher {
  const Element* row = nullptr;
  std::int64_t stride = 0, rows_left = 0, row_bytes = 0, byte = 0;

  void Next(std::int64_t lines) {
    for (; lines > 0 && rows_left > 0; --lines) {
      __builtin_prefetch(reinterpret_cast<const char*>(row) + byte, 0, 2);
      byte += kCacheLine;
      if (byte < row_bytes) continue;
      byte = 0;
      row += stride;
      --rows_left;
    }
  }
};

// kCandidates candidates at a time. A block of rows and columns is worked through tile by tile; a tile is kVectors
// vectors of columns, whose sums of all candidates stay in registers through the rows of the block.
//   Vector: kWidth floats, kRegisters of them for sums; Load, Store, Broadcast and Fma.
//   Source: the element type of deltas and Vector Load(const Element*), without rounding.
template <typename Vector, typename Source, int kCandidates>
struct Merge {
  using Element = typename Source::Element;
  // Up to four candidates wait for memory: few rows, each as far as the sums fit into the first-level cache, so that
  // the processor sees few long streams and reads ahead by itself. More candidates wait for the arithmetic: their sums
  // stay in registers for many rows, and the next block is prefetched by hand into the second-level cache.
  static constexpr bool kIsStreaming = kCandidates <= 4;
  static constexpr int kFitting = Vector::kRegisters / kCandidates;
  static constexpr int kVectors = kFitting >= 4 ? 4 : kFitting >= 2 ? 2 : 1;
  static constexpr std::int64_t kTileColumns = kVectors * Vector::kWidth;
  static constexpr std::int64_t kBlockRows = kIsStreaming ? 8 : 100;
  static constexpr std::int64_t kBlockColumns =
      kIsStreaming ? 8192 / kCandidates / kColumnUnit * kColumnUnit : 1024 / sizeof(Element);
  static_assert(kColumnUnit % kTileColumns == 0 && kBlockColumns % kColumnUnit == 0);

  // The columns' rows [first_row, first_row + num_rows) and columns [first, first + num).
  struct Block {
    std::int64_t first_row = 0, num_rows = 0, first_column = 0, num_columns = 0;
  };

  static void Run(const MergeColumns& columns) {
    const std::int64_t num_blocks = (columns.num_rows + kBlockRows - 1) / kBlockRows;
    const std::int64_t block_rows = num_blocks == 0 ? 0 : (columns.num_rows + num_blocks - 1) / num_blocks;
    for (std::int64_t column = 0; column < columns.num_columns; column += kBlockColumns) {
      const std::int64_t num_columns = Smaller(kBlockColumns, columns.num_columns - column);
      if (columns.num_rows == 0) RunBlock(columns, {0, 0, column, num_columns}, block_rows);
      for (std::int64_t row = 0; row < columns.num_rows; row += block_rows) {
        RunBlock(columns, {row, Smaller(block_rows, columns.num_rows - row), column, num_columns}, block_rows);
      }
    }
  }

  static void RunBlock(const MergeColumns& columns, const Block& block, std::int64_t block_rows) {
    RowPrefetcher<Element> prefetcher;
    if constexpr (!kIsStreaming) prefetcher = PrefetcherBehind(columns, block, block_rows);
    const std::int64_t lines = prefetcher.rows_left * prefetcher.row_bytes / kCacheLine;
    const std::int64_t lines_per_row = lines * kTileColumns / (block.num_rows * block.num_columns + 1) + 1;
    for (std::int64_t i = 0; i < block.num_columns; i += kTileColumns) {
      RunTile(columns, block, block.first_column + i, lines_per_row, prefetcher);
    }
  }

  // Of the block that comes after this one.
  static RowPrefetcher<Element> PrefetcherBehind(const MergeColumns& columns, const Block& block,
                                                 std::int64_t block_rows) {
    std::int64_t row = block.first_row + block.num_rows, column = block.first_column;
    if (row == columns.num_rows) {
      row = 0;
      column += block.num_columns;
      if (column == columns.num_columns && !columns.more_behind) return {};
    }
    const auto* first = static_cast<const Element*>(columns.deltas) + row * columns.row_stride + column;
    return {first, columns.row_stride, Smaller(block_rows, columns.num_rows - row),
            block.num_columns * static_cast<std::int64_t>(sizeof(Element))};
  }

  static void RunTile(const MergeColumns& columns, const Block& block, std::int64_t column, std::int64_t lines_per_row,
                      RowPrefetcher<Element>& prefetcher) {
    const std::int64_t stride = columns.row_stride;
    const Element* deltas = static_cast<const Element*>(columns.deltas) + block.first_row * stride + column;
    const float* coefficients = columns.coefficients + block.first_row * kCandidates;
    Vector sums[kCandidates][kVectors];
    LCSC_UNROLL
    for (int c = 0; c < kCandidates; ++c) {
      const float* start = (block.first_row == 0 ? columns.base : columns.outs[c]) + column;
      LCSC_UNROLL
      for (int v = 0; v < kVectors; ++v) sums[c][v] = Vector::Load(start + v * Vector::kWidth);
    }
    for (std::int64_t row = 0; row < block.num_rows; ++row) {
      if constexpr (!kIsStreaming) prefetcher.Next(lines_per_row);
      Vector delta[kVectors];
      LCSC_UNROLL
      for (int v = 0; v < kVectors; ++v) delta[v] = Source::Load(deltas + v * Vector::kWidth);
      LCSC_UNROLL
      for (int c = 0; c < kCandidates; ++c) {
        const Vector coefficient = Vector::Broadcast(coefficients[c]);
        LCSC_UNROLL
        for (int v = 0; v < kVectors; ++v) sums[c][v] = Vector::Fma(coefficient, delta[v], sums[c][v]);
      }
      deltas += stride;
      coefficients += kCandidates;
    }
    LCSC_UNROLL
    for (int c = 0; c < kCandidates; ++c) {
      LCSC_UNROLL
      for (int v = 0; v < kVectors; ++v) sums[c][v].Store(columns.outs[c] + column + v * Vector::kWidth);
    }
  }
};

// Calls the body that is compiled for this number of candidates.
template <typename Vector, typename Source, int... kLess>
void RunOneOf(const MergeColumns& columns, std::integer_sequence<int, kLess...>) {
  static constexpr MergeColumnsFunction kRuns[] = {Merge<Vector, Source, kLess + 1>::Run...};
  kRuns[columns.num_candidates - 1](columns);
}

template <typename Vector, typename Source>
void RunMerge(const MergeColumns& columns) {
  RunOneOf<Vector, Source>(columns, std::make_integer_sequence<int, Vector::kMaxCandidates>());
}

// Vector and the three sources of an instruction set.
template <typename Set>
constexpr MergeInstructions InstructionsOf(const char* name) {
  using Vector = typename Set::Vector;
  return {name, Vector::kMaxCandidates, RunMerge<Vector, typename Set::Float32>,
          RunMerge<Vector, typename Set::Float16>, RunMerge<Vector, typename Set::BFloat16>};
}

}  // namespace
}  // namespace lcsc
