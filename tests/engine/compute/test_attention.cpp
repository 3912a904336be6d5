#include <cmath>

#include "backend_under_test.h"

using namespace carrel;

namespace {

// Sequences of keys and values in runs of 64, and a batch of queries over them.
struct Case {
    std::size_t nKvHeads, group, headDim;
    std::vector<std::size_t> lengths;               // tokens of each sequence
    std::vector<std::uint32_t> position, sequence;  // of the batch
    std::vector<std::vector<std::uint16_t>> keys, values;
    std::vector<std::vector<KvRun>> runs;
    std::vector<std::span<const KvRun>> rows;
    std::vector<float> q;

    std::size_t nHeads() const { return nKvHeads * group; }
    std::size_t leaves() const {
        std::size_t most = 0;
        for (const std::size_t length : lengths) most = std::max(most, length);
        return (most + kLeafTokens - 1) / kLeafTokens;
    }
};

Case makeCase(std::size_t nKvHeads, std::size_t group, std::size_t headDim, std::vector<std::size_t> lengths,
              std::vector<std::uint32_t> position, std::vector<std::uint32_t> sequence) {
    Case c{nKvHeads, group, headDim, std::move(lengths), std::move(position), std::move(sequence), {}, {}, {}, {}, {}};
    unsigned seed = 1;
    for (const std::size_t length : c.lengths)
        for (std::size_t h = 0; h < nKvHeads; ++h) {
            for (auto* side : {&c.keys, &c.values}) {
                std::vector<std::uint16_t>& to = side->emplace_back();
                for (const float value : randomFloats(++seed, length * headDim)) to.push_back(f32ToF16(value));
            }
            std::vector<KvRun>& run = c.runs.emplace_back();
            for (std::size_t at = 0; at < length; at += kGroupTokens)
                run.push_back({c.keys.back().data() + at * headDim, c.values.back().data() + at * headDim,
                               static_cast<std::uint32_t>(at),
                               static_cast<std::uint32_t>(std::min<std::size_t>(64, length - at))});
        }
    for (const auto& run : c.runs) c.rows.emplace_back(run);
    c.q = randomFloats(99, c.position.size() * c.nHeads() * headDim, 1.5f);
    return c;
}

struct Output {
    std::vector<float> out, logSumExp, mass;
};

// Tokens [first, first + count) of the batch.
Output attend(Backend& backend, const Case& c, std::size_t first, std::size_t count) {
    const std::size_t width = c.nHeads() * c.headDim;
    Output result{std::vector<float>(count * width, -7), std::vector<float>(count * c.nHeads(), -7),
                  std::vector<float>(count * c.nHeads() * c.leaves(), -7)};
    AttendArgs args;
    args.q = View<const float, 3>(c.q.data() + first * width, {count, c.nHeads(), c.headDim});
    args.position = std::span(c.position).subspan(first, count);
    args.sequence = std::span(c.sequence).subspan(first, count);
    args.runs = c.rows;
    args.nKvHeads = c.nKvHeads;
    args.scale = 1 / std::sqrt(static_cast<float>(c.headDim));
    args.out = {result.out.data(), {count, c.nHeads(), c.headDim}};
    args.logSumExp = {result.logSumExp.data(), {count, c.nHeads()}};
    args.mass = {result.mass.data(), {count, c.nHeads(), c.leaves()}};
    backend.attend(args);
    return result;
}

void compareWithDefinition(const Case& c, const Output& got) {
    const std::size_t width = c.nHeads() * c.headDim;
    const double scale = 1 / std::sqrt(static_cast<double>(c.headDim));
    for (std::size_t t = 0; t < c.position.size(); ++t)
        for (std::size_t h = 0; h < c.nHeads(); ++h) {
            const std::size_t row = c.sequence[t] * c.nKvHeads + h / c.group;
            const std::size_t seen = std::min<std::size_t>(c.lengths[c.sequence[t]], c.position[t] + 1);
            std::vector<double> p(seen), out(c.headDim), mass(c.leaves());
            double m = -INFINITY, sum = 0;
            for (std::size_t k = 0; k < seen; ++k) {
                for (std::size_t d = 0; d < c.headDim; ++d)
                    p[k] += scale * static_cast<double>(c.q[t * width + h * c.headDim + d]) *
                            static_cast<double>(f16ToF32(c.keys[row][k * c.headDim + d]));
                m = std::max(m, p[k]);
            }
            for (double& value : p) sum += value = std::exp(value - m);
            for (std::size_t k = 0; k < seen; ++k) {
                mass[k / kLeafTokens] += p[k] / sum;
                for (std::size_t d = 0; d < c.headDim; ++d)
                    out[d] += p[k] / sum * static_cast<double>(f16ToF32(c.values[row][k * c.headDim + d]));
            }
            INFO("token ", t, " head ", h, " sees ", seen);
            for (std::size_t d = 0; d < c.headDim; ++d)
                REQUIRE(std::fabs(static_cast<double>(got.out[t * width + h * c.headDim + d]) - out[d]) < 1e-5);
            REQUIRE(std::fabs(static_cast<double>(got.logSumExp[t * c.nHeads() + h]) - (m + std::log(sum))) < 1e-5);
            double total = 0;
            for (std::size_t i = 0; i < c.leaves(); ++i) {
                const auto share = static_cast<double>(got.mass[(t * c.nHeads() + h) * c.leaves() + i]);
                REQUIRE(std::fabs(share - mass[i]) < 1e-5);
                total += share;
            }
            REQUIRE(std::fabs(total - 1) < 1e-5);
        }
}

std::vector<std::uint32_t> ascending(std::uint32_t first, std::uint32_t count) {
    std::vector<std::uint32_t> out(count);
    for (std::uint32_t i = 0; i < count; ++i) out[i] = first + i;
    return out;
}

}  // namespace

TEST_CASE("Attention is softmax over the keys up to a token's own position") {
    const auto backend = backendUnderTest();
    for (const std::size_t headDim : {64, 128, 256, 8, 72})
        for (const std::size_t group : {1, 3, 7}) {
            INFO("group of ", group, ", head size ", headDim);
            const Case prefill =
                makeCase(2, group, headDim, {150}, ascending(60, 90), std::vector<std::uint32_t>(90, 0));
            compareWithDefinition(prefill, attend(*backend, prefill, 0, 90));
            const Case decode = makeCase(2, group, headDim, {130, 1, 64}, {129, 63, 0}, {0, 2, 1});
            compareWithDefinition(decode, attend(*backend, decode, 0, 3));
        }
}

TEST_CASE("Keys beyond one part of 1024 are merged in") {
    const auto backend = backendUnderTest();
    const Case decode = makeCase(2, 7, 64, {2500}, {2499, 1023, 1024}, {0, 0, 0});
    compareWithDefinition(decode, attend(*backend, decode, 0, 3));
    const Case prefill = makeCase(2, 3, 64, {1200}, ascending(1000, 200), std::vector<std::uint32_t>(200, 0));
    compareWithDefinition(prefill, attend(*backend, prefill, 0, 200));
}

TEST_CASE("A token's attention has the same bits alone and in any batch, with one thread and with two") {
    const auto one = backendUnderTest(1), two = backendUnderTest(2);
    for (const std::size_t headDim : {64, 128})
        for (const std::size_t group : {1, 3, 7}) {
            std::vector<std::uint32_t> position, sequence;
            for (std::uint32_t t = 0; t < 70; ++t) {
                position.push_back(t % 3 == 2 ? t : 1030 + t);
                sequence.push_back(t % 3 == 2);
            }
            const Case c = makeCase(2, group, headDim, {1100, 70}, position, sequence);
            const Output all = attend(*one, c, 0, 70);
            const std::size_t width = c.nHeads() * headDim, leaves = c.nHeads() * c.leaves();
            for (Backend* backend : {one.get(), two.get()})
                for (const std::size_t count : {1, 2, 5, 16, 33, 64, 70})
                    for (std::size_t first = 0; first + count <= 70; first += 23) {
                        const Output part = attend(*backend, c, first, count);
                        INFO("group ", group, " head size ", headDim, ": ", count, " tokens from ", first, " on ",
                             backend->name());
                        REQUIRE(sameBits(part.out.data(), all.out.data() + first * width, count * width));
                        REQUIRE(sameBits(part.logSumExp.data(), all.logSumExp.data() + first * c.nHeads(),
                                         count * c.nHeads()));
                        REQUIRE(sameBits(part.mass.data(), all.mass.data() + first * leaves, count * leaves));
                    }
        }
}

TEST_CASE("Runs may leave keys out: a token reads only what it is given") {
    const auto backend = backendUnderTest();
    const Case full = makeCase(1, 2, 64, {640}, {639}, {0});
    Case some = full;
    some.runs[0] = {full.runs[0][0], full.runs[0][7], full.runs[0][9]};
    some.rows = {some.runs[0]};
    const Output all = attend(*backend, full, 0, 1), part = attend(*backend, some, 0, 1);
    double kept = 0;
    for (std::size_t leaf = 0; leaf < 40; ++leaf) {
        const bool inside = leaf < 4 || (leaf >= 28 && leaf < 32) || leaf >= 36;
        if (inside) kept += static_cast<double>(all.mass[leaf]);
        if (!inside) CHECK(part.mass[leaf] == 0);
    }
    for (const std::size_t leaf : {0, 29, 39})
        CHECK(static_cast<double>(part.mass[leaf]) ==
              doctest::Approx(static_cast<double>(all.mass[leaf]) / kept).epsilon(1e-4));
    CHECK(static_cast<double>(part.logSumExp[0]) ==
          doctest::Approx(static_cast<double>(all.logSumExp[0]) + std::log(kept)).epsilon(1e-5));
}
