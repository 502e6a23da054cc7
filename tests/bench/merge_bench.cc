// How fast the merge reads its shard, beside how fast this machine copies memory: the merge is memory-bound.
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include "lcsc/merge/merger.h"

namespace lcsc {
namespace {

constexpr std::int64_t kCheckpoints = 64;
constexpr std::int64_t kParameters = 4'000'000;

void SetRate(benchmark::State& state, std::int64_t bytes_per_iteration) {
  state.SetBytesProcessed(state.iterations() * bytes_per_iteration);
}

// Bytes: base and deltas read, out written.
void BM_Merge(benchmark::State& state, StorageType storage) {
  at::set_num_threads(static_cast<int>(state.range(0)));
  Shard shard{.range = {0, kParameters},
              .storage = storage,
              .base = at::randn({kParameters}),
              .deltas = at::randn({1, kParameters}).to(ScalarTypeOf(storage)).repeat({kCheckpoints - 1, 1})};
  const auto bytes = static_cast<std::int64_t>(shard.deltas.nbytes() + 2 * shard.base.nbytes());
  const Merger merger(std::move(shard));
  const std::vector<double> coefficients(kCheckpoints, 1.0 / kCheckpoints);
  std::vector<float> out(kParameters);
  for (auto _ : state) {
    merger.Merge(coefficients, out);
    benchmark::DoNotOptimize(out.data());
  }
  SetRate(state, bytes);
}

// Bytes: read and written.
void BM_Copy(benchmark::State& state) {
  at::set_num_threads(static_cast<int>(state.range(0)));
  const at::Tensor source = at::randn({16 * kParameters});
  at::Tensor destination = at::empty_like(source);
  for (auto _ : state) {
    destination.copy_(source);
    benchmark::ClobberMemory();
  }
  SetRate(state, static_cast<std::int64_t>(2 * source.nbytes()));
}

// Bytes: read.
void BM_Read(benchmark::State& state) {
  at::set_num_threads(static_cast<int>(state.range(0)));
  const at::Tensor source = at::randn({16 * kParameters});
  for (auto _ : state) benchmark::DoNotOptimize(source.sum());
  SetRate(state, static_cast<std::int64_t>(source.nbytes()));
}

const auto kThreads = [](benchmark::internal::Benchmark* one) {
  one->ArgName("threads")->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
};
BENCHMARK_CAPTURE(BM_Merge, f32, StorageType::kFloat32)->Apply(kThreads);
BENCHMARK_CAPTURE(BM_Merge, bf16, StorageType::kBFloat16)->Apply(kThreads);
BENCHMARK_CAPTURE(BM_Merge, f16, StorageType::kFloat16)->Apply(kThreads);
BENCHMARK(BM_Copy)->Apply(kThreads);
BENCHMARK(BM_Read)->Apply(kThreads);

}  // namespace
}  // namespace lcsc
