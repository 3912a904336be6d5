#include <cmath>

#include "backend_under_test.h"

using namespace carrel;

TEST_CASE("RMS norm divides by the root of the mean square and scales by the weight") {
    const auto backend = backendUnderTest();
    for (const std::size_t dim : {1, 15, 64, 100, 896})
        for (const std::size_t n : {1, 5, 300}) {
            const auto x = randomFloats(1, n * dim), weight = randomFloats(2, dim);
            const Shared<float> from(*backend, x), by(*backend, weight), to(*backend, n * dim);
            backend->rmsNorm({from.data(), {n, dim}}, by.data(), 1e-6f, {to.data(), {n, dim}});
            const auto out = to.read();
            for (std::size_t i = 0; i < n; ++i) {
                double sum = 0;
                for (std::size_t d = 0; d < dim; ++d) sum += std::pow(static_cast<double>(x[i * dim + d]), 2);
                const double scale = 1 / std::sqrt(sum / static_cast<double>(dim) + 1e-6);
                for (std::size_t d = 0; d < dim; ++d)
                    REQUIRE(
                        static_cast<double>(out[i * dim + d]) ==
                        doctest::Approx(static_cast<double>(x[i * dim + d]) * scale * static_cast<double>(weight[d]))
                            .epsilon(1e-5));
            }
        }
}

TEST_CASE("RoPE turns pairs by position times frequency, in both styles") {
    const auto backend = backendUnderTest();
    for (const std::size_t headDim : {8, 64, 100})
        for (const RopeStyle style : {RopeStyle::Neox, RopeStyle::Interleaved}) {
            const std::size_t n = 9, heads = 3, half = headDim / 2;
            const auto before = randomFloats(3, n * heads * headDim);
            const Shared<float> turned(*backend, before);
            std::vector<float> invFreq(half);
            for (std::size_t j = 0; j < half; ++j)
                invFreq[j] = std::pow(10000.0f, -2 * static_cast<float>(j) / static_cast<float>(headDim));
            const std::vector<std::uint32_t> position{0, 1, 2, 77, 4095, 31000, 5, 6, 7};
            backend->rope({turned.data(), {n, heads, headDim}}, position, invFreq, style);
            const auto x = turned.read();
            for (std::size_t i = 0; i < n * heads; ++i)
                for (std::size_t j = 0; j < half; ++j) {
                    const std::size_t a = i * headDim + (style == RopeStyle::Neox ? j : 2 * j);
                    const std::size_t b = style == RopeStyle::Neox ? a + half : a + 1;
                    const double angle = position[i / heads] * static_cast<double>(invFreq[j]);
                    const auto p = static_cast<double>(before[a]), q = static_cast<double>(before[b]);
                    INFO("head size ", headDim, " position ", position[i / heads], " pair ", j);
                    REQUIRE(std::fabs(static_cast<double>(x[a]) - (p * std::cos(angle) - q * std::sin(angle))) < 1e-5);
                    REQUIRE(std::fabs(static_cast<double>(x[b]) - (p * std::sin(angle) + q * std::cos(angle))) < 1e-5);
                }
        }
}

TEST_CASE("Angles follow when positions or frequencies change between calls") {
    const auto backend = backendUnderTest();
    const auto turned = [&](std::uint32_t position, float frequency) {
        const Shared<float> x(*backend, {1, 0});
        backend->rope({x.data(), {1, 1, 2}}, std::span(&position, 1), std::span(&frequency, 1), RopeStyle::Neox);
        return x.read()[0];
    };
    CHECK(turned(1, 1) == doctest::Approx(std::cos(1.0)));
    CHECK(turned(2, 1) == doctest::Approx(std::cos(2.0)));
    CHECK(turned(2, 0.5f) == doctest::Approx(std::cos(1.0)));
}

TEST_CASE("SwiGLU is exact enough from the smallest to the largest gate") {
    const auto backend = backendUnderTest();
    std::vector<float> gate;
    for (float g = -120; g < 120; g += 0.37f) gate.push_back(g);
    for (const float g : {0.0f, -0.0f, 1e-30f, -1e-30f, 1e30f, -1e30f}) gate.push_back(g);
    const auto before = gate, up = randomFloats(4, gate.size());
    const Shared<float> gates(*backend, gate), ups(*backend, up);
    backend->swiglu({gates.data(), {1, gate.size()}}, {ups.data(), {1, up.size()}});
    gate = gates.read();
    for (std::size_t i = 0; i < gate.size(); ++i) {
        const auto g = static_cast<double>(before[i]);
        const double exact = g / (1 + std::exp(-g)) * static_cast<double>(up[i]);
        INFO("gate ", before[i]);
        REQUIRE(std::fabs(static_cast<double>(gate[i]) - exact) <= 1e-6 * std::fabs(exact) + 1e-33);
    }
}

TEST_CASE("GeGLU is exact enough from the smallest to the largest gate") {
    const auto backend = backendUnderTest();
    std::vector<float> gate;
    for (float g = -9; g < 9; g += 0.037f) gate.push_back(g);
    for (const float g : {0.0f, -0.0f, 1e-30f, -1e-30f, 1e30f, -1e30f, 100.0f, -100.0f}) gate.push_back(g);
    const auto before = gate, up = randomFloats(4, gate.size());
    const Shared<float> gates(*backend, gate), ups(*backend, up);
    backend->geglu({gates.data(), {1, gate.size()}}, {ups.data(), {1, up.size()}});
    gate = gates.read();
    for (std::size_t i = 0; i < gate.size(); ++i) {
        const auto x = static_cast<double>(before[i]);
        const double y = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
        const double exact = x / (1 + std::exp(-2 * y)) * static_cast<double>(up[i]);  // 0.5 x (1 + tanh(y))
        INFO("gate ", before[i]);
        REQUIRE(std::fabs(static_cast<double>(gate[i]) - exact) <= 3e-5 * std::fabs(exact) + 1e-30);
    }
}

TEST_CASE("A norm that is added is added, one in place is in place, and embeddings are scaled") {
    const auto backend = backendUnderTest();
    const std::size_t n = 3, dim = 100;
    const auto x = randomFloats(8, n * dim), weight = randomFloats(9, dim), before = randomFloats(10, n * dim);
    const Shared<float> from(*backend, x), by(*backend, weight), to(*backend, n * dim), sum(*backend, before);
    const Shared<float> same(*backend, x);
    backend->rmsNorm({from.data(), {n, dim}}, by.data(), 1e-6f, {to.data(), {n, dim}});
    backend->addRmsNorm({from.data(), {n, dim}}, by.data(), 1e-6f, {sum.data(), {n, dim}});
    backend->rmsNorm({same.data(), {n, dim}}, by.data(), 1e-6f, {same.data(), {n, dim}});
    const auto normed = to.read(), added = sum.read(), inPlace = same.read();
    for (std::size_t i = 0; i < n * dim; ++i) {
        CHECK(added[i] == before[i] + normed[i]);
        CHECK(inPlace[i] == normed[i]);
    }
    const auto table = backend->loadWeight(DType::F32, n, dim, std::as_bytes(std::span(x)));
    REQUIRE(table);
    const std::int32_t ids[] = {2, 0};
    const Shared<float> embedded(*backend, 2 * dim);
    backend->embed(**table, ids, {embedded.data(), {2, dim}}, 3.5f);
    const auto out = embedded.read();
    for (std::size_t d = 0; d < dim; ++d) CHECK(out[d] == 3.5f * x[2 * dim + d]);
}

TEST_CASE("Keys and values are rounded to the nearest f16 and land in the rows given") {
    const auto backend = backendUnderTest();
    for (const std::size_t dim : {1, 8, 64, 100}) {
        const std::size_t n = 3;
        const auto x = randomFloats(5, n * dim, 100);
        const Shared<float> from(*backend, x);
        const Shared<std::uint16_t> memory(*backend, n * dim);
        std::uint16_t* rows[] = {memory.data() + 2 * dim, memory.data(), memory.data() + dim};
        backend->storeF16({from.data(), {n, dim}}, rows);
        const auto halves = memory.read();
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t d = 0; d < dim; ++d) REQUIRE(halves[(i + 2) % 3 * dim + d] == f32ToF16(x[i * dim + d]));
    }
}

TEST_CASE("A row's norm, gate and angles have the same bits in any batch") {
    const auto one = backendUnderTest(1), two = backendUnderTest(2);
    const std::size_t n = 200, dim = 896;
    const auto x = randomFloats(6, n * dim), weight = randomFloats(7, dim);
    const auto all = [&](Backend& backend, std::size_t first, std::size_t count) {
        const Shared<float> from(backend, x.data() + first * dim, count * dim), by(backend, weight),
            out(backend, count * dim);
        backend.rmsNorm({from.data(), {count, dim}}, by.data(), 1e-6f, {out.data(), {count, dim}});
        backend.swiglu({out.data(), {count, dim}}, {from.data(), {count, dim}});
        std::vector<std::uint32_t> position(count);
        for (std::size_t i = 0; i < count; ++i) position[i] = static_cast<std::uint32_t>(first + i);
        const std::vector<float> invFreq(32, 0.3f);
        backend.rope({out.data(), {count, dim / 64, 64}}, position, invFreq, RopeStyle::Neox);
        return out.read();
    };
    const auto together = all(*two, 0, n);
    for (const std::size_t first : {0, 1, 17, 199})
        CHECK(sameBits(all(*one, first, 1).data(), together.data() + first * dim, dim));
    CHECK(sameBits(all(*one, 0, n).data(), together.data(), n * dim));
}

TEST_CASE("The place of a row's greatest value is the first of equal ones, wherever it is") {
    const auto backend = backendUnderTest();
    for (const std::size_t dim : {1, 31, 512, 700, 5003}) {
        const std::size_t rows = 5, stride = dim + 3;
        auto x = randomFloats(static_cast<unsigned>(dim), rows * stride);
        x[2 * stride] = 1e9f;                                        // the first,
        x[3 * stride + dim - 1] = 2e9f, x[3 * stride + dim] = 9e9f;  // the last; what follows is of no row
        std::fill_n(x.data() + 4 * stride + dim / 3, dim - dim / 3, 50.0f);
        std::vector<std::int32_t> want;
        for (std::size_t i = 0; i < rows; ++i) {
            const float* const row = x.data() + i * stride;
            want.push_back(static_cast<std::int32_t>(std::max_element(row, row + dim) - row));
        }
        const Shared<float> in(*backend, x);
        const Shared<std::int32_t> out(*backend, rows);
        backend->argmax(View<const float, 2>(in.data(), {rows, dim}, stride), out.data());
        CHECK(out.read() == want);
    }
}

TEST_CASE("After waiting for it, what was enqueued is in memory that the host reads") {
    const auto backend = backendUnderTest();
    const std::size_t dim = 64;
    const auto gates = backend->allocate(dim * sizeof(float), MemoryKind::Host),
               ups = backend->allocate(dim * sizeof(float), MemoryKind::Host);
    REQUIRE(gates);
    REQUIRE(ups);
    float *const gate = gates->as<float>(), *const up = ups->as<float>();
    std::fill_n(gate, dim, 2.0f);
    std::fill_n(up, dim, 3.0f);
    up[1] = 0;
    const Event before = backend->record();
    backend->swiglu({gate, {1, dim}}, {up, {1, dim}});
    const Event after = backend->record();
    CHECK(after.sequence > before.sequence);
    REQUIRE(backend->wait(after));
    CHECK(gate[0] > 5);
    CHECK(gate[1] == 0);
    CHECK(backend->wait(before));
    CHECK(backend->wait(after));
}

TEST_CASE("What is copied in comes out again, however much") {
    const auto backend = backendUnderTest();
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{4097}, (std::size_t{20} << 20) + 3}) {
        std::vector<std::byte> in(bytes);
        for (std::size_t i = 0; i < bytes; i += 61) in[i] = static_cast<std::byte>(i / 61);
        const Shared<std::byte> memory(*backend, in);
        CHECK(memory.read() == in);
    }
}
