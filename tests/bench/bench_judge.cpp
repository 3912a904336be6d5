#include <benchmark/benchmark.h>

#include <cstring>

#include "bench_threads.h"
#include "engine/compute/judge_case.h"

using namespace carrel;

namespace {

constexpr std::size_t kLayers = 24, kKvHeads = 2, kGroup = 7, kHeadDim = 64;

// Every token well above or below the threshold is where it belongs.
bool isRight(Backend& backend) {
    const JudgeCase c(1, kKvHeads, kGroup, kHeadDim, 3);
    SelectRule rule;
    rule.tokenShare = std::exp(-7.0f);
    const Judged got = judge(backend, c, rule, 0, static_cast<std::uint32_t>(c.leaves()), 0, 1);
    for (std::size_t token = 0; token < c.nTokens; ++token)
        for (std::size_t kvHead = 0; kvHead < kKvHeads; ++kvHead)
            for (std::size_t key = 0; key < c.tokens(); ++key) {
                double most = -INFINITY, error = 0;
                for (std::size_t head = kvHead * kGroup; head < (kvHead + 1) * kGroup; ++head) {
                    double sum = std::exp(static_cast<double>(c.exact[token * c.nHeads() + head]));
                    for (std::size_t k = 0; k < c.tokens(); ++k) sum += std::exp(c.planeScore(token, head, k));
                    most = std::max(most, c.planeScore(token, head, key) - std::log(sum));
                    error = std::max(error, 2 * c.planeError(token, head, key));
                }
                if (std::fabs(most + 7) > error && isChosen(c, got, token, kvHead, key) != (most > -7)) return false;
            }
    return true;
}

// One decode step: all layers, each with its own codes; with the default rule, or a fixed share of 1/16.
void step(benchmark::State& state, std::size_t tokens, std::size_t batch, SelectRule rule) {
    const auto made = makeCpuBackend("", benchThreads());
    if (!made) return state.SkipWithError(made.error().detail.c_str());
    if (static bool once = isRight(**made); !once) return state.SkipWithError("differs from the definition");
    const std::size_t groups = tokens / kGroupTokens, leaves = tokens / kLeafTokens, heads = kKvHeads * kGroup;
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<std::byte> codes(kLayers * kKvHeads * groups * codesBytes(kHeadDim));
    for (std::size_t i = 0; i < codes.size(); i += 4) {
        const auto four = static_cast<std::uint32_t>(random());
        std::memcpy(codes.data() + i, &four, 4);
    }
    // Groups differ, as attention does: most of what is chosen lies in some of them.
    for (std::size_t g = 0; g < kLayers * kKvHeads * groups; ++g)
        for (std::size_t d = 0; d < 2 * kHeadDim; ++d) {
            const std::uint16_t half = f32ToF16(d < kHeadDim ? -3 + 2 * normal(random) : 6.0f / 255);
            std::memcpy(codes.data() + g * codesBytes(kHeadDim) + 4 * planeLeafBytes(kHeadDim) + 2 * d, &half, 2);
        }
    std::vector<float> q(batch * heads * kHeadDim), exact(batch * heads, 17);
    for (float& value : q) value = 1.5f * normal(random);
    std::vector<std::uint16_t> chosen(batch * kKvHeads * leaves);
    std::vector<SketchView> sketch(kLayers * kKvHeads);
    for (std::size_t i = 0; i < sketch.size(); ++i)
        sketch[i] = {codes.data() + i * groups * codesBytes(kHeadDim), nullptr, static_cast<std::uint32_t>(groups)};
    JudgeArgs args;
    args.q = View<const float, 3>(q.data(), {batch, heads, kHeadDim});
    args.first = 1;
    args.end = static_cast<std::uint32_t>(leaves - 16);
    args.scale = 0.125f;
    args.exact = View<const float, 2>(exact.data(), {batch, heads});
    args.rule = rule;
    if (rule.tokenShare == 0) args.rule.cap = static_cast<std::uint32_t>(tokens / 16);
    args.chosen = {chosen.data(), {batch, kKvHeads, leaves}};
    for (auto _ : state)
        for (std::size_t layer = 0; layer < kLayers; ++layer) {
            args.sketch = std::span(sketch).subspan(layer * kKvHeads, kKvHeads);
            (*made)->judge(args);
        }
    std::size_t count = 0, touched = 0;
    for (const std::uint16_t bits : chosen) touched += bits != 0;
    for (const std::uint16_t bits : chosen) count += static_cast<std::size_t>(__builtin_popcount(bits));
    state.counters["chosen"] = static_cast<double>(count) / static_cast<double>(batch * kKvHeads * tokens);
    state.counters["leaves"] = static_cast<double>(touched) / static_cast<double>(chosen.size());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(codes.size()));
}

const bool kRegistered = [] {
    SelectRule tokens, inLeaves, share;
    tokens.tokenShare = inLeaves.tokenShare = std::exp(-9.0f);
    inLeaves.leafShare = 0.001f;
    for (const std::size_t length : {8192, 32768})
        for (const std::size_t batch : {1, 8})
            for (const auto& [name, rule] :
                 {std::pair{"tokens", tokens}, {"in_leaves", inLeaves}, {"share_16th", share}})
                benchmark::RegisterBenchmark(("judge/qwen_24x2x7/" + std::string(name) + "/" + std::to_string(length) +
                                              "/" + std::to_string(batch))
                                                 .c_str(),
                                             [=, rule = rule](benchmark::State& s) { step(s, length, batch, rule); })
                    ->Apply(timeFairly)
                    ->Unit(benchmark::kMillisecond);
    return true;
}();

}  // namespace
