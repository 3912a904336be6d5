#include <benchmark/benchmark.h>

#include <cstring>

#include "bench_threads.h"
#include "engine/compute/judge_case.h"

using namespace carrel;

namespace {

// A model's heads, and enough of its layers.
struct Shape {
    const char* name;
    std::size_t layers, kvHeads, group, headDim;
};
constexpr Shape kShapes[] = {{"qwen_24x2x7", 24, 2, 7, 64}, {"8b_4x8x4", 4, 8, 4, 128}};

// Every token well above or below the threshold is where it belongs.
bool isRight(Backend& backend, const Shape& shape) {
    const std::size_t kvHeads = shape.kvHeads, group = shape.group;
    const JudgeCase c(1, kvHeads, group, shape.headDim, 3);
    SelectRule rule;
    rule.tokenShare = std::exp(-7.0f);
    const Judged got = judge(backend, c, rule, 0, static_cast<std::uint32_t>(c.leaves()), 0, 1);
    for (std::size_t token = 0; token < c.nTokens; ++token)
        for (std::size_t kvHead = 0; kvHead < kvHeads; ++kvHead)
            for (std::size_t key = 0; key < c.tokens(); ++key) {
                double most = -INFINITY, error = 0;
                for (std::size_t head = kvHead * group; head < (kvHead + 1) * group; ++head) {
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
void step(benchmark::State& state, const Shape& shape, std::size_t tokens, std::size_t batch, SelectRule rule) {
    const auto made = makeCpuBackend("", benchThreads());
    if (!made) return state.SkipWithError(made.error().detail.c_str());
    const auto [name, layers, kvHeads, group, headDim] = shape;
    if (!isRight(**made, shape)) return state.SkipWithError("differs from the definition");
    const std::size_t groups = tokens / kGroupTokens, leaves = tokens / kLeafTokens, heads = kvHeads * group;
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<std::byte> codes(layers * kvHeads * groups * codesBytes(headDim));
    for (std::size_t i = 0; i < codes.size(); i += 4) {
        const auto four = static_cast<std::uint32_t>(random());
        std::memcpy(codes.data() + i, &four, 4);
    }
    // Groups differ, as attention does: most of what is chosen lies in some of them.
    for (std::size_t g = 0; g < layers * kvHeads * groups; ++g)
        for (std::size_t d = 0; d < 2 * headDim; ++d) {
            const std::uint16_t half = f32ToF16(d < headDim ? -3 + 2 * normal(random) : 6.0f / 255);
            std::memcpy(codes.data() + g * codesBytes(headDim) + 4 * planeLeafBytes(headDim) + 2 * d, &half, 2);
        }
    std::vector<float> q(batch * heads * headDim), exact(batch * heads, 17);
    for (float& value : q) value = 1.5f * normal(random);
    std::vector<std::uint16_t> chosen(batch * kvHeads * leaves);
    std::vector<SketchView> sketch(layers * kvHeads);
    for (std::size_t i = 0; i < sketch.size(); ++i)
        sketch[i] = {.codes = codes.data() + i * groups * codesBytes(headDim),
                     .groups = static_cast<std::uint32_t>(groups)};
    JudgeArgs args;
    args.q = View<const float, 3>(q.data(), {batch, heads, headDim});
    args.first = 1;
    args.end = static_cast<std::uint32_t>(leaves - 16);
    args.scale = 1 / std::sqrt(static_cast<float>(headDim));
    args.exact = View<const float, 2>(exact.data(), {batch, heads});
    args.rule = rule;
    if (rule.tokenShare == 0) args.rule.cap = static_cast<std::uint32_t>(tokens / 16);
    args.chosen = {chosen.data(), {batch, kvHeads, leaves}};
    for (auto _ : state)
        for (std::size_t layer = 0; layer < layers; ++layer) {
            args.sketch = std::span(sketch).subspan(layer * kvHeads, kvHeads);
            (*made)->judge(args);
        }
    std::size_t count = 0, touched = 0;
    for (const std::uint16_t bits : chosen) touched += bits != 0;
    for (const std::uint16_t bits : chosen) count += static_cast<std::size_t>(__builtin_popcount(bits));
    state.counters["chosen"] = static_cast<double>(count) / static_cast<double>(batch * kvHeads * tokens);
    state.counters["leaves"] = static_cast<double>(touched) / static_cast<double>(chosen.size());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(codes.size()));
}

const bool kRegistered = [] {
    SelectRule tokens, inLeaves, share;
    tokens.tokenShare = inLeaves.tokenShare = std::exp(-9.0f);
    inLeaves.leafShare = 0.001f;
    for (const Shape& shape : kShapes)
        for (const std::size_t length : {8192, 32768})
            for (const std::size_t batch : {1, 4, 8})
                for (const auto& [name, rule] :
                     {std::pair{"tokens", tokens}, {"in_leaves", inLeaves}, {"share_16th", share}})
                    benchmark::RegisterBenchmark(
                        (std::string("judge/") + shape.name + "/" + name + "/" + std::to_string(length) + "/" +
                         std::to_string(batch))
                            .c_str(),
                        [=, rule = rule](benchmark::State& s) { step(s, shape, length, batch, rule); })
                        ->Apply(timeFairly)
                        ->Unit(benchmark::kMillisecond);
    return true;
}();

}  // namespace
