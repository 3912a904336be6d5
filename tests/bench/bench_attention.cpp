#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "bench_threads.h"
#include "compute/registry.h"

using namespace carrel;

namespace {

// One layer: `batch` tokens at the end of `tokens`, in one sequence. Both models have heads of 64.
void attend(benchmark::State& state, std::size_t nKvHeads, std::size_t group, std::size_t tokens, std::size_t batch) {
    constexpr std::size_t kHeadDim = 64;
    const auto made = makeCpuBackend("", benchThreads());
    if (!made) return state.SkipWithError(made.error().detail.c_str());
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<std::uint16_t> keys(nKvHeads * tokens * kHeadDim), values(keys.size());
    for (auto* side : {&keys, &values})
        for (auto& value : *side) value = f32ToF16(normal(random));
    std::vector<std::vector<KvRun>> runs(nKvHeads);
    for (std::size_t h = 0; h < nKvHeads; ++h)
        for (std::size_t t = 0; t < tokens; t += kGroupTokens)
            runs[h].push_back({keys.data() + (h * tokens + t) * kHeadDim, values.data() + (h * tokens + t) * kHeadDim,
                               static_cast<std::uint32_t>(t),
                               static_cast<std::uint32_t>(std::min<std::size_t>(64, tokens - t))});
    const std::vector<std::span<const KvRun>> rows(runs.begin(), runs.end());
    std::vector<float> q(batch * nKvHeads * group * kHeadDim), out(q.size());
    for (float& value : q) value = normal(random);
    std::vector<std::uint32_t> position(batch), sequence(batch, 0);
    for (std::size_t i = 0; i < batch; ++i) position[i] = static_cast<std::uint32_t>(tokens - batch + i);
    AttendArgs args;
    args.q = View<const float, 3>(q.data(), {batch, nKvHeads * group, kHeadDim});
    args.position = position;
    args.sequence = sequence;
    args.runs = rows;
    args.nKvHeads = nKvHeads;
    args.scale = 0.125f;
    args.out = {out.data(), {batch, nKvHeads * group, kHeadDim}};
    for (auto _ : state) (*made)->attend(args);
    const auto times = static_cast<double>(state.iterations());
    const double products =
        static_cast<double>(2 * batch * nKvHeads * group * kHeadDim) * static_cast<double>(tokens - batch / 2);
    state.counters["GMAC/s"] = benchmark::Counter(times * products / 1e9, benchmark::Counter::kIsRate);
    state.counters["GB/s"] =
        benchmark::Counter(times * static_cast<double>(4 * keys.size()) / 1e9, benchmark::Counter::kIsRate);
}

const bool kRegistered = [] {
    for (const std::size_t tokens : {512, 4096, 32768})
        for (const std::size_t batch : {1, 512}) {
            const std::string end = "/" + std::to_string(tokens) + "/" + std::to_string(batch);
            benchmark::RegisterBenchmark(("attend/qwen_2x7" + end).c_str(), [=](benchmark::State& s) {
                attend(s, 2, 7, tokens, batch);
            })->Apply(timeFairly);
            benchmark::RegisterBenchmark(("attend/smol_3x3" + end).c_str(), [=](benchmark::State& s) {
                attend(s, 3, 3, tokens, batch);
            })->Apply(timeFairly);
        }
    return true;
}();

}  // namespace
