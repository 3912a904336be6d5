#include <array>

#include "backend_under_test.h"
#include "cushim/cushim.h"

using namespace carrel;

namespace {

// Of several pieces, of a few tiles, and of a tile and a half.
constexpr std::array<std::size_t, 3> kRows{4500, 96, 48};
constexpr std::size_t kCols = 4096, kRowBytes = kCols / 32 * 34;

std::vector<std::byte> raw(std::size_t rows, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> out(rows * kRowBytes);
    for (std::size_t at = 0; at < out.size(); ++at)
        out[at] = at % 34 == 1 ? std::byte{0x2c} : static_cast<std::byte>(random() & 0x7f);
    return out;
}

/// Products with each weight in this order, on a GPU with so much memory.
struct Products {
    std::vector<std::vector<float>> out;
    std::uint64_t copied = 0;

    Products(std::uint64_t availableBytes, std::span<const std::size_t> order, std::size_t n) {
        cushim::pretend({.availableBytes = availableBytes});
        const auto backend = backendUnderTest(1);
        std::vector<std::unique_ptr<Weight>> weights;
        for (std::size_t i = 0; i < kRows.size(); ++i) {
            auto made = backend->loadWeight(DType::Q8_0, kRows[i], kCols, raw(kRows[i], static_cast<unsigned>(i)));
            REQUIRE(made);
            weights.push_back(std::move(*made));
        }
        cushim::pretend({});
        const Shared<float> x(*backend, randomFloats(5, n * kCols));
        std::vector<float> bias = randomFloats(6, kRows[0]);
        const Shared<float> biases(*backend, bias);
        const std::uint64_t before = cushim::stats().copiedBytes;
        for (const std::size_t i : order) {
            const Shared<float> to(*backend, randomFloats(7, n * kRows[i]));
            const MatmulTarget target[] = {
                {weights[i].get(), biases.data(), View<float, 2>(to.data(), {n, kRows[i]}), i == 1}};
            backend->matmul(View<const float, 2>(x.data(), {n, kCols}), target);
            out.push_back(to.read());
        }
        copied = cushim::stats().copiedBytes - before;
    }
};

}  // namespace

TEST_CASE("Weights that a GPU has no room for give the same bits, in the order of loading and in any other") {
    constexpr std::uint64_t kPlenty = std::uint64_t{8} << 30, kLittle = (16 << 20) + (100 << 10);
    const std::size_t order[] = {0, 1, 2, 0, 1, 2, 2, 0, 2, 1, 1, 0};
    const Products all(kPlenty, order, 1), streamed(kLittle, order, 1);
    for (std::size_t i = 0; i < all.out.size(); ++i) {
        INFO("product ", i);
        CHECK(sameBits(all.out[i].data(), streamed.out[i].data(), all.out[i].size()));
    }
    CHECK(streamed.copied > all.copied + 4 * kRows[0] * kRowBytes);  // or it was not streamed
}
