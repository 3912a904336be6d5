#include <cmath>

#include "backend_under_test.h"
#include "compute/cpu/packed_weight.h"
#include "compute/cuda/weight_layout.h"

using namespace carrel;

namespace {

constexpr DType kTypes[] = {DType::F32,  DType::F16,  DType::BF16, DType::Q8_0,   DType::Q4_0,
                            DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q4_K,   DType::Q5_K,
                            DType::Q6_K, DType::Q2_K, DType::Q3_K, DType::IQ4_NL, DType::IQ4_XS};

DTypeInfo infoOf(DType type) {
    return *dtypeInfo(static_cast<std::uint32_t>(type));
}

// Bytes of any value are quants of any value; only the floats among them need to be finite.
std::vector<std::byte> randomRaw(DType type, std::size_t rows, std::size_t cols, unsigned seed) {
    std::mt19937 random(seed);
    const DTypeInfo info = infoOf(type);
    std::vector<std::byte> raw(rows * cols / info.blockElements * info.blockBytes);
    for (std::byte& byte : raw) byte = static_cast<std::byte>(random());
    std::uniform_real_distribution<float> factor(-0.02f, 0.02f);
    const auto put = [&](std::size_t at) {
        const std::uint16_t h = f32ToF16(factor(random));
        std::memcpy(raw.data() + at, &h, 2);
    };
    for (std::size_t at = 0; at < raw.size(); at += info.blockBytes) {
        if (type == DType::F32) {
            const float value = factor(random);
            std::memcpy(raw.data() + at, &value, 4);
        } else if (type == DType::BF16) {
            raw[at + 1] = static_cast<std::byte>((random() & 0x80) | 0x3c);
        } else {
            const std::size_t d = type == DType::Q6_K ? 208 : type == DType::Q3_K ? 108 : type == DType::Q2_K ? 80 : 0;
            put(at + d);
            if (quantOffset(type) == 0 && type != DType::F16) put(at + d + 2);
        }
    }
    return raw;
}

std::vector<float> dequantized(DType type, std::size_t rows, std::size_t cols, const std::vector<std::byte>& raw) {
    std::vector<float> out(rows * cols);
    dequantizeRow(type, raw, out);
    return out;
}

// What every variant rounds x to before it multiplies: 8 bits per 32 columns.
std::vector<double> roundedLikeTheKernels(const std::vector<float>& x, DType type) {
    std::vector<double> out(x.begin(), x.end());
    if (type == DType::F32 || type == DType::F16 || type == DType::BF16) return out;
    for (std::size_t b = 0; b < x.size(); b += 32) {
        float most = 0;
        for (std::size_t i = b; i < b + 32; ++i) most = std::max(most, std::fabs(x[i]));
        for (std::size_t i = b; i < b + 32; ++i)
            out[i] = most > 0 ? std::nearbyint(x[i] * (127 / most)) * static_cast<double>(most / 127) : 0;
    }
    return out;
}

struct Product {
    std::vector<float> out;
    Product(Backend& backend, const Weight& weight, const float* x, std::size_t n) {
        const Shared<float> in(backend, x, n * weight.cols), products(backend, n * weight.rows);
        const MatmulTarget target{&weight, nullptr, {products.data(), {n, weight.rows}}, false};
        backend.matmul({in.data(), {n, weight.cols}}, {&target, 1});
        out = products.read();
    }
};

}  // namespace

TEST_CASE("A product is the product of the dequantised weights with x rounded to 8 bits") {
    const auto backend = backendUnderTest();
    for (const DType type : kTypes)
        for (const std::size_t rows : {1, 16, 17, 45, 65})
            for (const std::size_t cols : {32, 45, 96, 256, 896, 1280}) {
                if (cols % infoOf(type).blockElements != 0) continue;
                if (emulated() && (rows == 1 || rows == 16 || cols == 896)) continue;
                for (const std::size_t n : {1, 6, 11, 69}) {
                    const auto raw = randomRaw(type, rows, cols, 1);
                    const auto w = dequantized(type, rows, cols, raw);
                    const auto weight = backend->loadWeight(type, rows, cols, raw);
                    REQUIRE(weight);
                    const auto x = randomFloats(2, n * cols);
                    const auto rounded = roundedLikeTheKernels(x, type);
                    const Product product(*backend, **weight, x.data(), n);
                    for (std::size_t i = 0; i < n * rows; ++i) {
                        double exact = 0, size = 0;
                        for (std::size_t c = 0; c < cols; ++c) {
                            const double term =
                                rounded[i / rows * cols + c] * static_cast<double>(w[i % rows * cols + c]);
                            exact += term, size += std::fabs(term);
                        }
                        INFO(infoOf(type).name, " ", rows, " x ", cols, ", row ", i / rows, " of ", n, ", output ",
                             i % rows);
                        REQUIRE(std::fabs(static_cast<double>(product.out[i]) - exact) <= 2e-6 * size + 1e-6);
                    }
                }
            }
}

TEST_CASE("A row's product has the same bits alone and in any batch, with one thread and with two") {
    const auto one = backendUnderTest(1), two = backendUnderTest(2);
    for (const DType type : kTypes) {
        const std::size_t rows = 100, cols = emulated() ? 256 : 768, most = emulated() ? 71 : 512;
        const auto raw = randomRaw(type, rows, cols, 3);
        const auto weight = one->loadWeight(type, rows, cols, raw);
        REQUIRE(weight);
        const auto x = randomFloats(4, most * cols);
        const Product all(*one, **weight, x.data(), most);
        for (const std::size_t n : {1, 2, 3, 4, 5, 6, 7, 8, 13, 64, 65, 71, 512})
            for (Backend* backend : {one.get(), two.get()}) {
                if (n > most || (emulated() && backend == two.get())) continue;
                const std::size_t first = most - n;
                const Product part(*backend, **weight, x.data() + first * cols, n);
                INFO(infoOf(type).name, " batch of ", n, " on ", backend->name());
                REQUIRE(sameBits(part.out.data(), all.out.data() + first * rows, n * rows));
            }
    }
}

TEST_CASE("At the edges of tiles a row's product has the same bits as alone") {
    const auto backend = backendUnderTest();
    for (const DType type : {DType::F32, DType::BF16, DType::Q8_0, DType::Q5_1, DType::Q6_K})
        for (const std::size_t rows : among<std::size_t>({31, 32, 33, 63, 64, 65, 129}, {32, 63, 65, 129}))
            for (const std::size_t cols : {13, 47, 288, 512}) {
                if (cols % infoOf(type).blockElements != 0) continue;
                const auto weight = backend->loadWeight(type, rows, cols, randomRaw(type, rows, cols, 10));
                REQUIRE(weight);
                const auto x = randomFloats(11, 129 * cols);
                for (const std::size_t n : among<std::size_t>({15, 16, 17, 63, 64, 65, 129}, {16, 17, 64, 129})) {
                    const Product all(*backend, **weight, x.data(), n);
                    for (const std::size_t row : {std::size_t{0}, n / 2, n - 1}) {
                        const Product alone(*backend, **weight, x.data() + row * cols, 1);
                        INFO(infoOf(type).name, " ", rows, " x ", cols, ", row ", row, " of ", n);
                        REQUIRE(sameBits(alone.out.data(), all.out.data() + row * rows, rows));
                    }
                }
            }
}

TEST_CASE("Several targets of one input, with bias and accumulation, are what they are one by one") {
    const auto backend = backendUnderTest();
    // Whole pairs of tiles, single tiles and tiles that are not whole.
    const std::size_t cols = 256, rows[] = {100, 17, 40};
    const DType types[] = {DType::Q5_0, DType::F16, DType::Q6_K};
    for (const std::size_t n : {3, 70}) {
        const auto x = randomFloats(5, n * cols), bias = randomFloats(6, 100), before = randomFloats(7, n * 100);
        const Shared<float> sharedX(*backend, x), sharedBias(*backend, bias);
        std::vector<std::unique_ptr<Weight>> weights;
        std::vector<Shared<float>> outs;
        std::vector<MatmulTarget> targets;
        for (std::size_t i = 0; i < 3; ++i) {
            auto weight = backend->loadWeight(types[i], rows[i], cols, randomRaw(types[i], rows[i], cols, 8));
            REQUIRE(weight);
            weights.push_back(std::move(*weight));
            outs.emplace_back(*backend, before.data(), n * rows[i]);
        }
        for (std::size_t i = 0; i < 3; ++i)
            targets.push_back(
                {weights[i].get(), i == 1 ? nullptr : sharedBias.data(), {outs[i].data(), {n, rows[i]}}, i == 2});
        backend->matmul({sharedX.data(), {n, cols}}, targets);
        for (std::size_t i = 0; i < 3; ++i) {
            const Product alone(*backend, *weights[i], x.data(), n);
            const auto together = outs[i].read();
            for (std::size_t j = 0; j < n * rows[i]; ++j) {
                float expected = alone.out[j];
                if (i != 1) expected += bias[j % rows[i]];
                if (i == 2) expected = before[j] + expected;
                INFO(n, " rows, target ", i, " element ", j);
                REQUIRE(together[j] == expected);
            }
        }
    }
}

TEST_CASE("Embedding gives the dequantised row of the same weight that multiplies") {
    const auto backend = backendUnderTest();
    for (const DType type : kTypes) {
        const std::size_t rows = 37, cols = 512;
        const auto raw = randomRaw(type, rows, cols, 9);
        const auto w = dequantized(type, rows, cols, raw);
        const auto weight = backend->loadWeight(type, rows, cols, raw);
        REQUIRE(weight);
        const std::int32_t ids[] = {36, 0, 16, 15, 16};
        const Shared<float> rowsOut(*backend, 5 * cols);
        backend->embed(**weight, ids, {rowsOut.data(), {5, cols}});
        const auto out = rowsOut.read();
        for (std::size_t i = 0; i < out.size(); ++i) {
            INFO(infoOf(type).name, " id ", ids[i / cols], " column ", i % cols);
            REQUIRE(out[i] == w[static_cast<std::size_t>(ids[i / cols]) * cols + i % cols]);
        }
    }
}

TEST_CASE("A weight in memory is no wider than in its file") {
    for (const DType type : kTypes) {
        const std::size_t rows = 64, cols = 1536;  // whole tiles; a multiple of every block and of a cache line
        INFO(infoOf(type).name);
        const PackedLayout layout = packedLayout(type, rows, cols);
        const std::size_t bytes = rows * cols / infoOf(type).blockElements * infoOf(type).blockBytes;
        CHECK(layout.tiles() * layout.tileBytes == bytes);
        CHECK(cuda::tilesOf(rows) * cuda::tileBytes(type, cols) == bytes);
    }
}

TEST_CASE("Weights whose bytes do not fit their shape are refused") {
    const auto backend = backendUnderTest(1);
    const std::vector<std::byte> raw(34 * 4);
    CHECK(backend->loadWeight(DType::Q8_0, 4, 32, raw));
    for (const auto& [rows, cols] : {std::pair<std::size_t, std::size_t>{3, 32}, {4, 33}, {4, 64}, {0, 32}, {4, 0}}) {
        const auto weight = backend->loadWeight(DType::Q8_0, rows, cols, raw);
        REQUIRE_FALSE(weight);
        CHECK(weight.error().code == Code::InvalidArgument);
    }
}
