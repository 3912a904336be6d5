#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "bench_threads.h"
#include "compute/cpu/cpu_backend.h"

using namespace carrel;

namespace {

// Enough groups that neither side stays in the cache: 256 groups of head size 64 are 4 MiB in f16.
struct Reading {
    Reading(KvCodec codec, std::uint32_t d, std::size_t count) : plain(2 * count * kGroupTokens * d) {
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        for (auto& value : plain) value = f32ToF16(normal(random));
        parts.resize(count * (payloadBytes(codec, d) + codesBytes(d) + meansBytes(d)));
        rows.resize(count * kGroupLeaves * rowsBytes(d));
        std::byte* to = parts.data();
        for (std::size_t g = 0; g < count; ++g) {
            EncodeGroup group{plain.data() + 2 * g * kGroupTokens * d, plain.data() + (2 * g + 1) * kGroupTokens * d};
            group.payload = to, group.codes = to + payloadBytes(codec, d), group.means = group.codes + codesBytes(d);
            to = group.means + meansBytes(d);
            groups.push_back(group);
            for (std::uint32_t leaf = 0; leaf < kGroupLeaves; ++leaf)
                leaves.push_back(packedLeaf(codec, d, group.payload, group.codes, leaf,
                                            rows.data() + (g * kGroupLeaves + leaf) * rowsBytes(d)));
        }
    }
    std::vector<std::uint16_t> plain;
    std::vector<std::byte> parts, rows;
    std::vector<EncodeGroup> groups;
    std::vector<UnpackLeaf> leaves;
};

void rate(benchmark::State& state, std::size_t bytes) {
    state.counters["GB/s"] = benchmark::Counter(
        static_cast<double>(state.iterations()) * static_cast<double>(bytes) / 1e9, benchmark::Counter::kIsRate);
}

// A fast wrong answer is not a result.
bool agrees(Backend& backend, KvCodec codec, std::uint32_t d) {
    const auto definition = makeCpuBackendWith(Isa::Scalar, 1);
    const Reading expected(codec, d, 20), got(codec, d, 20);
    definition->encode(codec, d, expected.groups);
    backend.encode(codec, d, got.groups);
    definition->unpack(codec, d, expected.leaves);
    backend.unpack(codec, d, got.leaves);
    return expected.parts == got.parts && expected.rows == got.rows;
}

// GB/s of f16 keys and values taken in.
void encode(benchmark::State& state, KvCodec codec, std::uint32_t d) {
    const auto made = makeCpuBackend("", benchThreads());
    if (!made) return state.SkipWithError(made.error().detail.c_str());
    if (!agrees(**made, codec, d)) return state.SkipWithError("differs from the definition");
    const Reading reading(codec, d, 256);
    for (auto _ : state) (*made)->encode(codec, d, reading.groups);
    rate(state, 2 * reading.plain.size());
}

// GB/s of rows put out.
void unpack(benchmark::State& state, KvCodec codec, std::uint32_t d) {
    const auto made = makeCpuBackend("", benchThreads());
    if (!made) return state.SkipWithError(made.error().detail.c_str());
    if (!agrees(**made, codec, d)) return state.SkipWithError("differs from the definition");
    const Reading reading(codec, d, 256);
    (*made)->encode(codec, d, reading.groups);
    for (auto _ : state) (*made)->unpack(codec, d, reading.leaves);
    rate(state, reading.rows.size());
}

const bool kRegistered = [] {
    for (const KvCodec codec : {KvCodec::K8V8, KvCodec::K8V6, KvCodec::K8V4})
        for (const std::uint32_t d : {64u, 128u}) {
            const std::string end = "/" + std::string(codecName(codec)) + "/" + std::to_string(d);
            benchmark::RegisterBenchmark(("encode" + end).c_str(), [=](benchmark::State& s) {
                encode(s, codec, d);
            })->Apply(timeFairly);
            benchmark::RegisterBenchmark(("unpack" + end).c_str(), [=](benchmark::State& s) {
                unpack(s, codec, d);
            })->Apply(timeFairly);
        }
    return true;
}();

}  // namespace
