#include <benchmark/benchmark.h>

#include <cmath>
#include <random>
#include <vector>

#include "bench_threads.h"
#include "compute/registry.h"

using namespace carrel;

namespace {

std::vector<std::byte> randomRaw(DType type, std::size_t rows, std::size_t cols) {
    std::mt19937 random(1);
    const auto info = dtypeInfo(static_cast<std::uint32_t>(type));
    std::vector<std::byte> raw(rows * cols / info->blockElements * info->blockBytes);
    for (std::byte& byte : raw) byte = static_cast<std::byte>(random() & 0x3f);  // any two bytes of it are a small f16
    return raw;
}

// The weights of a few layers, so that a token finds them in memory and not in a cache.
void matmul(benchmark::State& state, DType type, std::size_t rows, std::size_t cols, std::size_t n) {
    const auto made = makeCpuBackend("", benchThreads());
    if (!made) return state.SkipWithError(made.error().detail.c_str());
    Backend& backend = **made;
    const auto raw = randomRaw(type, rows, cols);
    const std::size_t layers = n > 16 ? 1 : std::max<std::size_t>(1, (std::size_t{256} << 20) / raw.size());
    std::vector<std::unique_ptr<Weight>> weights;
    for (std::size_t i = 0; i < layers; ++i) {
        auto weight = backend.loadWeight(type, rows, cols, raw);
        if (!weight) return state.SkipWithError(weight.error().detail.c_str());
        weights.push_back(std::move(*weight));
    }
    std::vector<float> x(n * cols, 0), out(n * rows);
    std::mt19937 random(2);
    for (float& value : x) value = std::normal_distribution<float>()(random);

    // A fast wrong answer is not a result: one row against the dequantised weights.
    std::vector<float> w(rows * cols);
    dequantizeRow(type, raw, w);
    const auto target = [&](std::size_t layer) {
        const MatmulTarget t{weights[layer].get(), nullptr, {out.data(), {n, rows}}, false};
        backend.matmul({x.data(), {n, cols}}, {&t, 1});
    };
    target(0);
    for (std::size_t r = 0; r < rows; r += 7) {
        double exact = 0, size = 0;
        for (std::size_t c = 0; c < cols; ++c) {
            const double term = static_cast<double>(w[r * cols + c]) * static_cast<double>(x[c]);
            exact += term, size += term * term;
        }
        if (std::fabs(static_cast<double>(out[r]) - exact) > 0.1 * std::sqrt(size) + 1e-9)
            return state.SkipWithError("differs from the definition");
    }
    std::size_t layer = 0;
    for (auto _ : state) target(layer++ % layers);
    const auto times = static_cast<double>(state.iterations());
    state.counters["GMAC/s"] =
        benchmark::Counter(times * static_cast<double>(n * rows * cols) / 1e9, benchmark::Counter::kIsRate);
    state.counters["GB/s"] =
        benchmark::Counter(times * static_cast<double>(raw.size()) / 1e9, benchmark::Counter::kIsRate);
}

struct Row {
    const char* name;
    DType type;
    std::size_t rows, cols;
};
// What a layer of the two catalogued models is made of; then every other type in the shape of qwen_down.
constexpr Row kRows[] = {{"qwen_gate_up/Q5_0", DType::Q5_0, 9728, 896},
                         {"qwen_qo/Q5_0", DType::Q5_0, 896, 896},
                         {"qwen_down/Q4_K", DType::Q4_K, 896, 4864},
                         {"qwen_down/Q6_K", DType::Q6_K, 896, 4864},
                         {"qwen_output/Q8_0", DType::Q8_0, 32768, 896},
                         {"smol_gate_up/Q4_1", DType::Q4_1, 3072, 576},
                         {"smol_qo/Q4_1", DType::Q4_1, 576, 576},
                         {"smol_down/Q4_1", DType::Q4_1, 576, 1536},
                         {"down/Q2_K", DType::Q2_K, 896, 4864},
                         {"down/Q3_K", DType::Q3_K, 896, 4864},
                         {"down/IQ4_NL", DType::IQ4_NL, 896, 4864},
                         {"down/IQ4_XS", DType::IQ4_XS, 896, 4864},
                         {"f16", DType::F16, 4096, 896}};

const bool kRegistered = [] {
    for (const Row& row : kRows)
        for (const std::size_t n : {1, 4, 8, 16, 32, 64, 128, 512})
            benchmark::RegisterBenchmark(
                (std::string("matmul/") + row.name + "/" + std::to_string(n)).c_str(),
                [row, n](benchmark::State& state) { matmul(state, row.type, row.rows, row.cols, n); })
                ->Apply(timeFairly);
    return true;
}();

}  // namespace
