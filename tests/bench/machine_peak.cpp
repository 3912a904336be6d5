#include <benchmark/benchmark.h>

#include <numeric>
#include <vector>

#include "base/thread_pool.h"
#include "bench_threads.h"
#include "compute/cpu/intrinsics.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/pages.h"

// What this machine could do at best, on as many threads: the other rows are read beside these.

using namespace carrel;

namespace {

constexpr int kRounds = 200000;

#if defined(__x86_64__)
CARREL_AVX512 int dotProducts(int seed) {
    __m512i sums[12];
    for (auto& sum : sums) sum = _mm512_set1_epi32(seed);
    const __m512i w = _mm512_set1_epi8(3), x = _mm512_set1_epi8(static_cast<char>(seed));
    for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
        for (auto& sum : sums) sum = _mm512_dpbusd_epi32(sum, w, x);
    }
    int total = 0;
    for (const auto& sum : sums) total += _mm512_reduce_add_epi32(sum);
    return total;
}
CARREL_AVX512 float fusedFloats(float seed) {
    __m512 sums[12];
    for (auto& sum : sums) sum = _mm512_set1_ps(seed);
    const __m512 w = _mm512_set1_ps(0.5f), x = _mm512_set1_ps(seed);
    for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
        for (auto& sum : sums) sum = _mm512_fmadd_ps(sum, w, x);
    }
    float total = 0;
    for (const auto& sum : sums) total += _mm512_reduce_add_ps(sum);
    return total;
}

void peak(benchmark::State& state, bool integers) {
    if (availableIsas().back() != Isa::Avx512) return state.SkipWithError("no AVX-512");
    ThreadPool pool(benchThreads());
    for (auto _ : state)
        pool.parallelFor(pool.size(), [&](std::size_t i) {
            if (integers)
                benchmark::DoNotOptimize(dotProducts(static_cast<int>(i)));
            else
                benchmark::DoNotOptimize(fusedFloats(static_cast<float>(i)));
        });
    const double each = 12.0 * kRounds * (integers ? 64 : 16) * pool.size();
    state.counters["GMAC/s"] =
        benchmark::Counter(static_cast<double>(state.iterations()) * each / 1e9, benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(peak, int8, true)->Apply(timeFairly);
BENCHMARK_CAPTURE(peak, f32, false)->Apply(timeFairly);
#endif

// In huge pages, as weights and KV are.
void readMemory(benchmark::State& state) {
    ThreadPool pool(benchThreads());
    const std::size_t bytes = std::size_t{512} << 20, words = bytes / 8 / pool.size();
    auto* const memory = static_cast<std::uint64_t*>(mapPages(bytes));
    if (memory == nullptr) return state.SkipWithError("no memory");
    std::fill_n(memory, words * pool.size(), 1);
    for (auto _ : state)
        pool.parallelFor(pool.size(), [&](std::size_t i) {
            std::uint64_t sums[8] = {};
            for (std::size_t at = i * words; at < (i + 1) * words; at += 8)
                for (std::size_t k = 0; k < 8; ++k) sums[k] += memory[at + k];
            benchmark::DoNotOptimize(std::accumulate(sums, sums + 8, std::uint64_t{0}));
        });
    unmapPages(memory, bytes);
    state.counters["GB/s"] =
        benchmark::Counter(static_cast<double>(state.iterations()) * static_cast<double>(words * 8 * pool.size()) / 1e9,
                           benchmark::Counter::kIsRate);
}
BENCHMARK(readMemory)->Apply(timeFairly);

}  // namespace
