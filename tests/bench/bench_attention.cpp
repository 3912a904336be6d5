#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstring>
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

enum class Reads { Dense, Scattered, Rest };

// Tokens over an encoded document, layer after layer so that nothing is warm: every leaf whole; one token in twenty; or
// every leaf as a rest.
struct EncodedLayers {
    static constexpr std::size_t kHeadDim = 64;
    static constexpr std::size_t kStride = rowsBytes(kHeadDim), kBytes = std::size_t{160} << 20;
    Buffer rows;  // [layers, nKvHeads, leaves] of kStride bytes, of which the head's keys
    std::size_t nKvHeads, leaves, layers;
    std::vector<std::uint16_t> grids;
    std::vector<std::byte> means;
    std::vector<std::vector<KvPick>> picks;
    std::vector<std::vector<KvRun>> runs;  // [layers * nKvHeads]
    std::size_t keys = 0;                  // of all layers and heads

    EncodedLayers(Buffer buffer, std::size_t kvHeads, std::size_t tokens, Reads reads)
        : rows(std::move(buffer)),
          nKvHeads(kvHeads),
          leaves(tokens / kLeafTokens),
          layers(kBytes / (kvHeads * leaves * kStride)) {
        std::mt19937_64 random(1);
        const std::size_t all = layers * nKvHeads * leaves;
        std::ranges::generate(std::span(rows.as<std::uint64_t>(), all * kStride / 8), [&] { return random(); });
        means.resize(all / kGroupLeaves * valueMeansBytes(kHeadDim));
        std::ranges::generate(means, [&] { return static_cast<std::byte>(random()); });
        for (std::size_t g = 0; g < all / kGroupLeaves; ++g)
            for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf)
                std::memcpy(&means[g * valueMeansBytes(kHeadDim) + kGroupLeaves * kHeadDim + 2 * leaf], &kStep, 2);
        grids.resize(all / kGroupLeaves * 2 * kHeadDim);
        for (std::size_t i = 0; i < grids.size(); ++i) grids[i] = f32ToF16(i / kHeadDim % 2 == 0 ? -1.6f : 0.0125f);
        for (std::size_t leaf = 0; leaf < all; ++leaf) {
            std::uint16_t grid[2 * kLeafTokens * valueBlocks(kHeadDim)];
            for (std::size_t i = 0; i < std::size(grid); ++i) grid[i] = f32ToF16(i % 2 == 0 ? 0 : 0.0125f);
            std::memcpy(at(leaf) + 32 * kHeadDim, grid, sizeof grid);
        }
        for (std::size_t head = 0; head < layers * nKvHeads; ++head) {
            std::vector<KvPick>& chosen = picks.emplace_back();
            for (std::size_t i = 0; i < leaves; ++i) {
                const std::size_t leaf = head * leaves + i;
                KvPick pick{at(leaf), &grids[leaf / kGroupLeaves * 2 * kHeadDim], static_cast<std::uint32_t>(i),
                            0xffff};
                if (reads == Reads::Scattered) {
                    pick.tokens = 0;
                    for (std::uint32_t t = 0; t < kLeafTokens; ++t)
                        if (random() % 20 == 0) pick.tokens = static_cast<std::uint16_t>(pick.tokens | 1u << t);
                    if (pick.tokens == 0) continue;
                }
                if (reads != Reads::Rest) chosen.push_back(pick);
            }
        }
        for (std::size_t head = 0; head < layers * nKvHeads; ++head)
            addRuns(picks[head], reads == Reads::Rest ? head * leaves : SIZE_MAX);
    }

  private:
    static constexpr std::uint16_t kStep = 0x2266;  // 0.0125
    std::byte* at(std::size_t leaf) { return rows.as<std::byte>(leaf * kStride); }
    void addRuns(std::span<const KvPick> chosen, std::size_t firstRest) {
        std::vector<KvRun>& to = runs.emplace_back();
        for (std::size_t i = 0; i < chosen.size();) {
            std::uint32_t tokens = 0;
            const std::size_t from = i;
            for (std::uint32_t more;
                 i < chosen.size() &&
                 tokens + (more = static_cast<std::uint32_t>(std::popcount(chosen[i].tokens))) <= kGroupTokens;
                 ++i)
                tokens += more;
            to.push_back(
                {.first = chosen[from].leaf * kLeafTokens, .tokens = tokens, .picks = chosen.subspan(from, i - from)});
            keys += tokens;
        }
        for (std::size_t i = 0; firstRest != SIZE_MAX && i < leaves; i += kGroupTokens) {
            const std::size_t some = std::min<std::size_t>(kGroupTokens, leaves - i);
            to.push_back({.first = static_cast<std::uint32_t>(i * kLeafTokens),
                          .tokens = static_cast<std::uint32_t>(some),
                          .rest = &means[(firstRest + i) / kGroupLeaves * valueMeansBytes(kHeadDim)]});
            keys += some;
        }
    }
};

void attendEncoded(benchmark::State& state, std::size_t nKvHeads, std::size_t group, std::size_t tokens, Reads reads,
                   std::size_t batch) {
    const auto made = makeCpuBackend("", benchThreads()), scalar = makeCpuBackend("scalar", 1);
    if (!made || !scalar) return state.SkipWithError("no such backend");
    auto buffer = (*made)->allocate(EncodedLayers::kBytes);
    if (!buffer) return state.SkipWithError("no memory");
    const EncodedLayers encoded(std::move(*buffer), nKvHeads, tokens, reads);
    constexpr std::size_t kHeadDim = EncodedLayers::kHeadDim;
    const std::size_t heads = nKvHeads * group;
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> q(batch * heads * kHeadDim), out(q.size()), expected(q.size());
    for (float& value : q) value = normal(random);
    const std::vector<std::uint32_t> position(batch, static_cast<std::uint32_t>(tokens)), sequence(batch, 0);
    AttendArgs args;
    args.q = View<const float, 3>(q.data(), {batch, heads, kHeadDim});
    args.position = position;
    args.sequence = sequence;
    args.codec = KvCodec::K8V8;
    args.nKvHeads = nKvHeads;
    args.scale = 0.125f;
    std::vector<float> weight(batch * heads * encoded.leaves, 0.01f), origin(batch * heads);
    args.weight = View<const float, 3>(weight.data(), {batch, heads, encoded.leaves});
    args.origin = View<const float, 2>(origin.data(), {batch, heads});
    std::vector<std::span<const KvRun>> rows(nKvHeads);
    args.runs = rows;
    std::size_t layer = 0;
    const auto next = [&](Backend& backend, std::vector<float>& to) {
        for (std::size_t h = 0; h < nKvHeads; ++h) rows[h] = encoded.runs[layer * nKvHeads + h];
        args.out = {to.data(), {batch, heads, kHeadDim}};
        backend.attend(args);
    };
    next(**scalar, expected);
    next(**made, out);
    for (std::size_t i = 0; i < out.size(); ++i)
        if (std::fabs(out[i] - expected[i]) > 1e-4f) return state.SkipWithError("differs from scalar");
    for (auto _ : state) {
        layer = (layer + 1) % encoded.layers;
        next(**made, out);
    }
    const double keys = static_cast<double>(state.iterations()) * static_cast<double>(encoded.keys) /
                        static_cast<double>(encoded.layers);
    state.counters["Mkeys/s"] = benchmark::Counter(keys / 1e6, benchmark::Counter::kIsRate);
    state.counters["GB/s"] = benchmark::Counter(keys * 136 / 1e9, benchmark::Counter::kIsRate);
    state.counters["GMAC/s"] =
        benchmark::Counter(keys * static_cast<double>(2 * batch * group * kHeadDim) / 1e9, benchmark::Counter::kIsRate);
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
    struct Row {
        const char* name;
        Reads reads;
        std::size_t batch;
    };
    for (const std::size_t tokens : {4096, 32768})
        for (const Row row : {Row{"dense", Reads::Dense, 1},
                              {"dense_512", Reads::Dense, 512},
                              {"scattered", Reads::Scattered, 1},
                              {"rest", Reads::Rest, 1}})
            for (const auto& [model, kvHeads, group] : {std::tuple{"qwen_2x7/", 2, 7}, {"smol_3x3/", 3, 3}}) {
                const std::string title = std::string("attend_") + row.name + "/" + model + std::to_string(tokens);
                benchmark::RegisterBenchmark(title.c_str(), [=, h = kvHeads, g = group](benchmark::State& s) {
                    attendEncoded(s, static_cast<std::size_t>(h), static_cast<std::size_t>(g), tokens, row.reads,
                                  row.batch);
                })->Apply(timeFairly);
            }
    return true;
}();

}  // namespace
