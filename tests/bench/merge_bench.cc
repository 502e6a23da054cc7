// How fast the merge is beside what the machine can do and beside ATen's matrix product. One candidate is bound by
// memory: its floor is the shard's bytes over the bandwidth of a copy. Sixteen candidates are bound by arithmetic:
// their floor is the fused multiply-adds over the rate of a loop of nothing else. What is compared is measured in
// turns.
//   lcsc_bench_merge [--json] [--rounds N] [--cpu-time]
// The fastest of N rounds counts, 7 by default. --cpu-time: the process's processor time over the threads in place of
// the clock on the wall, for machines that others use too.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lcsc/merge/merger.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define LCSC_MULTIVERSION __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LCSC_MULTIVERSION
#endif

namespace lcsc {
namespace {

constexpr std::int64_t kBatch = 16;
constexpr std::int64_t kShardElements = 64'000'000;  // 256 MB in float32: many times any cache

using Lanes = float __attribute__((vector_size(64)));
constexpr std::int64_t kFmaLoops = 4'000'000, kFmaChains = 6, kFmaOperations = kFmaLoops * kFmaChains * 16 * 2;

// Chains of fused multiply-adds that differ and so cannot be made one, enough to hide the latency of each.
LCSC_MULTIVERSION float FmaLoop(float seed) {
  Lanes sums[kFmaChains], factor = Lanes{} + seed;
  for (int i = 0; i < kFmaChains; ++i) sums[i] = Lanes{} + static_cast<float>(i);
  for (std::int64_t loop = 0; loop < kFmaLoops; ++loop) {
#pragma GCC unroll 8
    for (int i = 0; i < kFmaChains; ++i) sums[i] = sums[i] * factor + factor;
  }
  Lanes total{};
  for (const Lanes& sum : sums) total += sum;
  return total[0] + total[15];
}

struct Timing {
  int rounds = 7;
  bool is_cpu_time = false;
};

double Now(const Timing& timing) {
  timespec time{};
  ::clock_gettime(timing.is_cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  const double seconds = static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  return timing.is_cpu_time ? seconds / at::get_num_threads() : seconds;
}

// Seconds of the fastest of the rounds of each work, all of them taking turns.
std::vector<double> FastestOf(const Timing& timing, const std::vector<std::function<void()>>& works) {
  std::vector<double> fastest(works.size(), 1e9);
  for (int round = 0; round < timing.rounds; ++round) {
    for (std::size_t i = 0; i < works.size(); ++i) {
      const double start = Now(timing);
      works[i]();
      fastest[i] = std::min(fastest[i], Now(timing) - start);
    }
  }
  return fastest;
}

// In large pages, as the shards of a trajectory are.
at::Tensor Large(const at::Tensor& like) {
  at::Tensor tensor = at::empty_like(like);
  constexpr std::uintptr_t kPage = 4096;
  const auto begin = (reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) + kPage - 1) / kPage * kPage;
  ::madvise(reinterpret_cast<void*>(begin), (tensor.nbytes() - kPage) / kPage * kPage, MADV_HUGEPAGE);
  return tensor.copy_(like);
}

struct Case {
  int num_threads = 1;
  std::int64_t num_checkpoints = 0;
  StorageType storage = StorageType::kFloat32;
};

// Seconds. ATen: the faster of its product in the storage type and of a conversion to float32 and a product.
struct Times {
  double copy = 0, fma = 0, merge_one = 0, merge_batch = 0;
  double aten_tuned = 0;  // [16, K - 1] x [K - 1, p], in our large pages and into memory that is there
  double aten_batch = 0;  // the same as it is called: at::matmul of ordinary tensors
  double aten_one = 0;    // [1, K - 1] x [K - 1, p], as it is called
};

// ATen's products, beside ours.
class AtenProducts {
 public:
  AtenProducts(StorageType storage, const at::Tensor& factors, const at::Tensor& large_deltas)
      : left_(factors.slice(1, 1).to(at::kFloat)),
        stored_left_(left_.to(ScalarTypeOf(storage))),
        large_deltas_(large_deltas),
        deltas_(large_deltas.clone()),
        product_(Large(at::zeros({kBatch, large_deltas.size(1)}))),
        has_product_(storage != StorageType::kFloat16),
        has_converted_(storage != StorageType::kFloat32) {}

  void Tuned() {
    if (!has_converted_) at::matmul_out(product_, left_, large_deltas_);
    if (has_converted_ && has_product_) at::matmul(stored_left_, large_deltas_);
  }
  void TunedConverted() {
    if (has_converted_) at::matmul_out(product_, left_, large_deltas_.to(at::kFloat));
  }
  void Called(std::int64_t num_candidates) const {
    if (has_product_) at::matmul(stored_left_.slice(0, 0, num_candidates), deltas_);
  }
  void CalledConverted(std::int64_t num_candidates) const {
    if (has_converted_) at::matmul(left_.slice(0, 0, num_candidates), deltas_.to(at::kFloat));
  }
  double Better(double product, double converted) const {
    if (!has_product_) return converted;
    return has_converted_ ? std::min(product, converted) : product;
  }

 private:
  at::Tensor left_, stored_left_, large_deltas_, deltas_, product_;
  bool has_product_, has_converted_;
};

Times Measure(const Case& given, const Timing& timing) {
  at::set_num_threads(given.num_threads);
  const std::int64_t num_rows = given.num_checkpoints - 1, p = kShardElements / given.num_checkpoints;
  const at::Tensor deltas = Large((0.1 * at::randn({num_rows, p})).to(ScalarTypeOf(given.storage)));
  const at::Tensor factors = at::randn({kBatch, given.num_checkpoints}, at::kDouble);
  const at::Tensor merged = Large(at::zeros({kBatch, p}));
  AtenProducts aten(given.storage, factors, deltas);
  const Merger merger(Shard{{0, p}, given.storage, at::randn({p}), deltas});
  std::vector<std::span<const double>> coefficients;
  std::vector<std::span<float>> outs;
  for (std::int64_t i = 0; i < kBatch; ++i) {
    coefficients.emplace_back(factors[i].data_ptr<double>(), static_cast<std::size_t>(given.num_checkpoints));
    outs.emplace_back(merged[i].data_ptr<float>(), static_cast<std::size_t>(p));
  }
  const at::Tensor source = Large(at::zeros({kShardElements / 2})), target = Large(source);
  volatile float sink = 0;
  const auto run_fma = [&](std::int64_t, std::int64_t) { sink = FmaLoop(0.5F + sink); };
  const std::vector<double> fastest = FastestOf(
      timing, {[&] { target.copy_(source); }, [&] { at::parallel_for(0, given.num_threads, 1, run_fma); },
               [&] { merger.Merge(coefficients[0], outs[0]); }, [&] { merger.MergeBatch(coefficients, outs); },
               [&] { aten.Tuned(); }, [&] { aten.TunedConverted(); }, [&] { aten.Called(kBatch); },
               [&] { aten.CalledConverted(kBatch); }, [&] { aten.Called(1); }, [&] { aten.CalledConverted(1); }});
  return {fastest[0],
          fastest[1],
          fastest[2],
          fastest[3],
          aten.Better(fastest[4], fastest[5]),
          aten.Better(fastest[6], fastest[7]),
          aten.Better(fastest[8], fastest[9])};
}

nlohmann::json ResultOf(const Case& given, const Times& times) {
  const double p = static_cast<double>(kShardElements / given.num_checkpoints);
  const double num_rows = static_cast<double>(given.num_checkpoints - 1);
  const double shard_bytes = p * (4 + num_rows * (given.storage == StorageType::kFloat32 ? 4 : 2));
  const double bytes_one = shard_bytes + 4 * p, bytes_batch = shard_bytes + 4 * p * kBatch;
  const double operations = 2 * num_rows * p * kBatch;
  const double copy_rate = 4.0 * kShardElements / times.copy;
  const double fma_rate = static_cast<double>(kFmaOperations) * given.num_threads / times.fma;
  const double batch_floor = std::max(operations / fma_rate, bytes_batch / copy_rate);
  return {{"threads", given.num_threads},
          {"checkpoints", given.num_checkpoints},
          {"storage", StorageTypeName(given.storage)},
          {"copy_bytes_per_second", copy_rate},
          {"fma_operations_per_second", fma_rate},
          {"one_bytes_per_second", bytes_one / times.merge_one},
          {"one_share_of_copy", bytes_one / times.merge_one / copy_rate},
          {"one_seconds", times.merge_one},
          {"one_floor_seconds", bytes_one / copy_rate},
          {"batch_operations_per_second", operations / times.merge_batch},
          {"batch_candidates_per_second", kBatch / times.merge_batch},
          {"batch_seconds", times.merge_batch},
          {"batch_floor_seconds", batch_floor},
          {"batch_share_of_floor", batch_floor / times.merge_batch},
          {"per_candidate_over_aten_tuned", times.aten_tuned / times.merge_batch},
          {"per_candidate_over_aten_batch", times.aten_batch / times.merge_batch},
          {"per_candidate_over_aten_one", kBatch * times.aten_one / times.merge_batch}};
}

void PrintHeading() {
  fmt::print(
      "One candidate: GB/s beside a copy's. Sixteen: GFLOP/s beside a loop of multiply-adds; floor/ours; and the rate\n"
      "per candidate over ATen's product of 16 in our memory, of 16 as it is called, and of one at a time.\n");
  fmt::print("{:>7} {:>4} {:>7} | {:>6} {:>6} {:>6} | {:>6} {:>6} {:>7} {:>7} {:>7} {:>6} | {:>6} {:>6} {:>6}\n",
             "threads", "K", "storage", "copy", "one", "share", "fma", "16", "cand./s", "ms", "floor", "share", "tuned",
             "called", "one");
}

void Print(const nlohmann::json& r) {
  const auto scaled = [&](const char* key, double unit = 1) { return r[key].get<double>() * unit; };
  fmt::print(
      "{:>7} {:>4} {:>7} | {:>6.1f} {:>6.1f} {:>6.2f} | {:>6.1f} {:>6.1f} {:>7.1f} {:>7.2f} {:>7.2f} {:>6.2f} | "
      "{:>6.2f} {:>6.2f} {:>6.2f}\n",
      r["threads"].get<int>(), r["checkpoints"].get<int>(), r["storage"].get<std::string>(),
      scaled("copy_bytes_per_second", 1e-9), scaled("one_bytes_per_second", 1e-9), scaled("one_share_of_copy"),
      scaled("fma_operations_per_second", 1e-9), scaled("batch_operations_per_second", 1e-9),
      scaled("batch_candidates_per_second"), scaled("batch_seconds", 1e3), scaled("batch_floor_seconds", 1e3),
      scaled("batch_share_of_floor"), scaled("per_candidate_over_aten_tuned"), scaled("per_candidate_over_aten_batch"),
      scaled("per_candidate_over_aten_one"));
  std::fflush(stdout);
}

}  // namespace
}  // namespace lcsc

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const auto has = [&](std::string_view name) { return std::ranges::find(arguments, name) != arguments.end(); };
  const bool as_json = has("--json");
  const auto rounds = std::ranges::find(arguments, "--rounds");
  const bool has_rounds = rounds != arguments.end() && rounds + 1 != arguments.end();
  const lcsc::Timing timing{has_rounds ? std::stoi(std::string(rounds[1])) : 7, has("--cpu-time")};
  nlohmann::json results = nlohmann::json::array();
  if (!as_json) lcsc::PrintHeading();
  for (const int num_threads : {1, 2}) {
    for (const std::int64_t num_checkpoints : {64, 400}) {
      for (const auto storage :
           {lcsc::StorageType::kFloat32, lcsc::StorageType::kBFloat16, lcsc::StorageType::kFloat16}) {
        const lcsc::Case given{num_threads, num_checkpoints, storage};
        results.push_back(lcsc::ResultOf(given, lcsc::Measure(given, timing)));
        if (!as_json) lcsc::Print(results.back());
      }
    }
  }
  if (as_json) fmt::print("{}\n", results.dump(2));
}
