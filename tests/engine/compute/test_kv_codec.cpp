#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "backend_under_test.h"
#include "compute/cpu/cpu_backend.h"

using namespace carrel;

namespace {

constexpr std::uint32_t kHeadDims[] = {16, 32, 48, 64, 80, 96, 128, 256};
constexpr KvCodec kCodecs[] = {KvCodec::K8V8, KvCodec::K8V6, KvCodec::K8V4};
constexpr std::byte kUntouched{0xa5};

std::uint16_t f16At(const std::byte* from) {
    std::uint16_t h;
    std::memcpy(&h, from, 2);
    return h;
}
double number(std::uint16_t h) {
    return static_cast<double>(f16ToF32(h));
}
/// What is encoded of an f16: nan counts as 0, infinity as the greatest.
double meant(std::uint16_t h) {
    const double value = number(h);
    return std::isnan(value) ? 0 : std::clamp(value, -65504.0, 65504.0);
}
unsigned bits(std::byte byte, std::size_t shift, unsigned mask) {
    return std::to_integer<unsigned>(byte) >> shift & mask;
}

/// A group, its parts and, written down once more from kv_layout.h, what they mean.
struct Group {
    Group(KvCodec codec_, std::uint32_t d_) : codec(codec_), d(d_), keys(kGroupTokens * d_), values(keys.size()) {}

    KvCodec codec;
    std::uint32_t d;
    std::vector<std::uint16_t> keys, values;
    std::vector<std::byte> payload, codes, means;

    EncodeGroup parts(Mirror& memory) {
        payload.assign(payloadBytes(codec, d), kUntouched);
        codes.assign(codesBytes(d), kUntouched);
        means.assign(meansBytes(d), kUntouched);
        return {memory.add(std::as_const(keys)), memory.add(std::as_const(values)), memory.add(payload),
                memory.add(codes), memory.add(means)};
    }
    void encode(Backend& backend) {
        Mirror memory(backend);
        const EncodeGroup group = parts(memory);
        backend.encode(codec, d, std::span(&group, 1));
        memory.read();
    }
    /// Leaf `leaf` as rows at `rows`.
    void unpack(Backend& backend, std::size_t leaf, std::span<std::byte> rows) const {
        Mirror memory(backend);
        std::vector<std::byte> to(rows.begin(), rows.end());
        memory.add(payload), memory.add(codes), memory.add(to);
        const UnpackLeaf one = this->leaf(memory, leaf, memory.at(to.data()));
        backend.unpack(codec, d, std::span(&one, 1));
        memory.read();
        std::ranges::copy(to, rows.begin());
    }

    const std::byte* leafCodes(std::size_t leaf) const { return codes.data() + leaf * planeLeafBytes(d); }
    const std::byte* leafLow(std::size_t leaf) const { return payload.data() + leaf * lowLeafBytes(d); }
    const std::byte* valueRows() const { return payload.data() + kGroupLeaves * lowLeafBytes(d); }
    const std::byte* valueGrid() const {
        return valueRows() + std::size_t{d} * (codec == KvCodec::K8V8 ? 64 : codec == KvCodec::K8V6 ? 48 : 32);
    }
    UnpackLeaf leaf(const Mirror& memory, std::size_t leaf, std::byte* rows) const {
        return packedLeaf(codec, d, memory.at(payload.data()), memory.at(codes.data()),
                          static_cast<std::uint32_t>(leaf), rows);
    }

    unsigned highBits(std::size_t t, std::size_t c) const { return planeBits(leafCodes(t / 16), t, c); }
    unsigned keyCode(std::size_t t, std::size_t c) const {
        const std::byte* row = leafLow(t / 16) + 4 * std::size_t{d} + t % 16 * d / 2;
        return highBits(t, c) << 6 | planeBits(leafLow(t / 16), t, c) << 4 | nibble(row, c);
    }
    std::uint16_t keyLeast(std::size_t c) const { return f16At(codes.data() + 16 * std::size_t{d} + 2 * c); }
    std::uint16_t keyStep(std::size_t c) const { return f16At(codes.data() + 18 * std::size_t{d} + 2 * c); }
    double key(std::size_t t, std::size_t c) const { return number(keyLeast(c)) + number(keyStep(c)) * keyCode(t, c); }
    int valueCode(std::size_t t, std::size_t c) const {
        if (codec == KvCodec::K8V4) return static_cast<int>(nibble(valueRows() + t * d / 2, c));
        if (codec == KvCodec::K8V8) return static_cast<std::int8_t>(valueRows()[t * d + c]);
        const std::byte* ofLeaf = valueRows() + t / 16 * 12 * d;
        const unsigned high = planeBits(ofLeaf, t, c), low = nibble(ofLeaf + 4 * d + t % 16 * d / 2, c);
        return static_cast<int>(high << 4 | low) - 32;
    }
    std::uint16_t valueLeast(std::size_t t, std::size_t c) const {
        if (codec != KvCodec::K8V4) return 0;
        const int halves = (packedGrid(t, c) & 127) - ((packedGrid(t, c) & 64) != 0 ? 128 : 0);
        const auto least = static_cast<float>(number(valueStep(t, c)) * halves / 2);
        const std::uint16_t h = f32ToF16(least);
        REQUIRE(f16ToF32(h) == least);
        return h;
    }
    std::uint16_t valueStep(std::size_t t, std::size_t c) const {
        if (codec != KvCodec::K8V4) return f16At(valueGrid() + 2 * t);
        return static_cast<std::uint16_t>(packedGrid(t, c) >> 7 << 6);
    }
    double value(std::size_t t, std::size_t c) const {
        return number(valueLeast(t, c)) + number(valueStep(t, c)) * valueCode(t, c);
    }
    unsigned meanKey(std::size_t leaf, std::size_t c) const { return bits(means[leaf * d + c], 0, 255); }
    int meanValueCode(std::size_t leaf, std::size_t c) const {
        return static_cast<std::int8_t>(means[(4 + leaf) * d + c]);
    }
    std::uint16_t meanStep(std::size_t leaf) const { return f16At(means.data() + 8 * std::size_t{d} + 2 * leaf); }

  private:
    std::uint16_t packedGrid(std::size_t t, std::size_t c) const {
        return f16At(valueGrid() + 2 * (t * valueBlocks(d) + c / 32));
    }
    static unsigned planeBits(const std::byte* plane, std::size_t t, std::size_t c) {
        return bits(plane[c / 16 * 64 + t % 16 * 4 + c % 4], c % 16 / 4 * 2, 3);
    }
    unsigned nibble(const std::byte* row, std::size_t c) const {
        return c < d / 2 ? bits(row[c], 0, 15) : bits(row[c - d / 2], 4, 15);
    }
};

enum class Content { Normal, Biased, Constant, Outlier, Tiny, Huge, Zeros, AnyBits };
constexpr Content kContents[] = {Content::Normal, Content::Biased, Content::Constant, Content::Outlier,
                                 Content::Tiny,   Content::Huge,   Content::Zeros,    Content::AnyBits};

/// Made of integers alone, so that it is the same with every standard library.
std::uint16_t sample(Content content, std::uint32_t random, std::size_t t, std::size_t c) {
    const float uniform = static_cast<float>(random >> 8) * 0x1p-23f - 1.0f;  // -1 to 1
    const auto dice = static_cast<int>((random & 255) + (random >> 8 & 255) + (random >> 16 & 255) + (random >> 24));
    switch (content) {
        case Content::Normal:
            return f32ToF16(static_cast<float>(dice - 510) / 148.0f);
        case Content::Biased:
            return f32ToF16(37.0f * static_cast<float>(c % 5) + 0.25f * uniform);
        case Content::Constant:
            return f32ToF16(static_cast<float>(c / 32) - 1.5f);
        case Content::Outlier:
            return f32ToF16((t * 7 + c) % 64 == 11 ? 900.0f : 0.01f * uniform);
        case Content::Tiny:
            return static_cast<std::uint16_t>((random & 0x8000u) | (random >> 16) % 1500);
        case Content::Huge:
            return f32ToF16(65504.0f * uniform);
        case Content::Zeros:
            return static_cast<std::uint16_t>(random & 0x8000u);
        case Content::AnyBits:
            break;
    }
    return static_cast<std::uint16_t>(random);
}

Group sampleGroup(KvCodec codec, std::uint32_t d, Content content, unsigned seed) {
    Group group(codec, d);
    std::mt19937 random(seed);
    for (auto* side : {&group.keys, &group.values})
        for (std::size_t t = 0; t < kGroupTokens; ++t)
            for (std::size_t c = 0; c < d; ++c)
                (*side)[t * d + c] = sample(content, static_cast<std::uint32_t>(random()), t, c);
    return group;
}

template <class Check>
void forEverySample(Check&& check) {
    for (const KvCodec codec : kCodecs)
        for (const std::uint32_t d : kHeadDims)
            for (const Content content : kContents) {
                CAPTURE(std::string(codecName(codec)));
                CAPTURE(d);
                CAPTURE(static_cast<int>(content));
                check(sampleGroup(codec, d, content, d + static_cast<unsigned>(content)));
            }
}

/// The least f16 that reaches over `range` in `levels`: one less does not.
bool isLeastStep(std::uint16_t step, double range, int levels) {
    if (range == 0) return step == 0;
    return levels * number(step) >= range && levels * number(static_cast<std::uint16_t>(step - 1)) < range;
}
/// The least f16 whose last six bits are zero that is no less than `needed`.
bool isLeastCoarseStep(std::uint16_t step, double needed) {
    if (needed == 0) return step == 0;
    return step % 64 == 0 && number(step) >= needed && number(static_cast<std::uint16_t>(step - 64)) < needed;
}
// Half a step, and f32's rounding of 255 of them.
bool isNearest(double decoded, double exact, double step) {
    return std::fabs(decoded - exact) <= 0.5001 * step;
}

/// A group whose grids are known, so that its codes are: keys are integers 0 to 255, values -127 to 127, -31 to 31, or
/// -16 to -0.5 (V4: 15.5 steps around -8.25, from -16 on: with the halves to even, code = value + 16).
Group integerGroup(KvCodec codec, std::uint32_t d) {
    Group group(codec, d);
    std::mt19937 random(d);
    for (std::size_t t = 0; t < kGroupTokens; ++t)
        for (std::size_t c = 0; c < d; ++c) {
            const auto key = t == c % 64 ? 0u : t == (c + 1) % 64 ? 255u : random() % 256;
            const int most = codec == KvCodec::K8V8 ? 127 : 31;
            const int signedCode = c == t % 16 ? -most : static_cast<int>(random() % (2 * most + 1u)) - most;
            const float block = c % 16 == t % 16         ? -16.0f
                                : c % 16 == (t + 1) % 16 ? -0.5f
                                                         : static_cast<float>(static_cast<int>(random() % 16) - 16);
            group.keys[t * d + c] = f32ToF16(static_cast<float>(key));
            group.values[t * d + c] = f32ToF16(codec == KvCodec::K8V4 ? block : static_cast<float>(signedCode));
        }
    return group;
}

}  // namespace

TEST_CASE("A key decodes to within half a step of its channel's grid, which spans just its least to its greatest key") {
    const auto backend = backendUnderTest();
    forEverySample([&](Group group) {
        group.encode(*backend);
        for (std::size_t c = 0; c < group.d; ++c) {
            double least = 1e9, most = -1e9;
            for (std::size_t t = 0; t < kGroupTokens; ++t) {
                least = std::min(least, meant(group.keys[t * group.d + c]));
                most = std::max(most, meant(group.keys[t * group.d + c]));
            }
            CAPTURE(c);
            REQUIRE(number(group.keyLeast(c)) == least);
            REQUIRE(isLeastStep(group.keyStep(c), most - least, 255));
            for (std::size_t t = 0; t < kGroupTokens; ++t)
                REQUIRE(isNearest(group.key(t, c), meant(group.keys[t * group.d + c]), number(group.keyStep(c))));
        }
    });
}

TEST_CASE("A value decodes to within half a step of its grid, which spans just its token's or block's values") {
    const auto backend = backendUnderTest();
    forEverySample([&](Group group) {
        group.encode(*backend);
        const std::size_t width = group.codec == KvCodec::K8V4 ? 32 : group.d;
        for (std::size_t t = 0; t < kGroupTokens; ++t)
            for (std::size_t first = 0; first < group.d; first += width) {
                const std::size_t end = std::min<std::size_t>(group.d, first + width);
                double least = 1e9, most = -1e9;
                for (std::size_t c = first; c < end; ++c) {
                    least = std::min(least, meant(group.values[t * group.d + c]));
                    most = std::max(most, meant(group.values[t * group.d + c]));
                }
                CAPTURE(t);
                const std::uint16_t step = group.valueStep(t, first);
                if (group.codec == KvCodec::K8V4)
                    REQUIRE(isLeastCoarseStep(step, std::max((most - least) / 15.5, std::fabs(most + least) / 48)));
                else
                    REQUIRE(isLeastStep(step, std::max(-least, most), group.codec == KvCodec::K8V8 ? 127 : 31));
                for (std::size_t c = first; c < end; ++c) {
                    CAPTURE(c);
                    REQUIRE(isNearest(group.value(t, c), meant(group.values[t * group.d + c]), number(step)));
                }
            }
    });
}

TEST_CASE("Codes lie in exactly the bits that the layout gives them") {
    const auto backend = backendUnderTest();
    for (const KvCodec codec : kCodecs)
        for (const std::uint32_t d : kHeadDims) {
            Group group = integerGroup(codec, d);
            group.encode(*backend);
            for (std::size_t t = 0; t < kGroupTokens; ++t)
                for (std::size_t c = 0; c < d; ++c) {
                    const auto code = static_cast<unsigned>(number(group.keys[t * d + c]));
                    CAPTURE(t);
                    CAPTURE(c);
                    CAPTURE(d);
                    REQUIRE(group.keyCode(t, c) == code);
                    REQUIRE(group.highBits(t, c) == code >> 6);
                    const int least = codec == KvCodec::K8V4 ? -16 : 0;
                    REQUIRE(group.valueCode(t, c) == static_cast<int>(number(group.values[t * d + c]) - least));
                    REQUIRE(number(group.keyLeast(c)) == 0);
                    REQUIRE(number(group.keyStep(c)) == 1);
                    REQUIRE(number(group.valueLeast(t, c)) == least);
                    REQUIRE(number(group.valueStep(t, c)) == 1);
                }
        }
}

TEST_CASE("A leaf's mean key is the mean of its codes, its mean value that of its decoded values, both to nearest") {
    const auto backend = backendUnderTest();
    forEverySample([&](Group group) {
        group.encode(*backend);
        for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf) {
            std::vector<double> mean(group.d);
            double most = 0, summand = 0;
            for (std::size_t c = 0; c < group.d; ++c) {
                unsigned codes = 0;
                double sum = 0;
                for (std::size_t t = 16 * leaf; t < 16 * leaf + 16; ++t) {
                    codes += group.keyCode(t, c);
                    sum += group.value(t, c);
                    summand = std::max(summand, std::fabs(group.value(t, c)));
                }
                REQUIRE(group.meanKey(leaf, c) == (codes + 8) / 16);
                mean[c] = sum / 16;
                most = std::max(most, std::fabs(mean[c]));
            }
            const double step = number(group.meanStep(leaf));
            const double rounding = 1e-6 * summand;  // of the sums, which are f32
            REQUIRE(127 * step >= most - rounding);
            REQUIRE(127 * step <= most * 1.001 + 127 * 0x1p-24 + rounding);
            for (std::size_t c = 0; c < group.d; ++c)
                REQUIRE(std::fabs(group.meanValueCode(leaf, c) * step - mean[c]) <= 0.5001 * step + rounding);
        }
        for (std::size_t i = 8 * std::size_t{group.d} + 8; i < group.means.size(); ++i)
            REQUIRE(group.means[i] == std::byte{0});
    });
}

TEST_CASE("Means made anew from payload and codes are the very bytes that the encoder wrote") {
    const auto backend = backendUnderTest();
    forEverySample([&](Group group) {
        group.encode(*backend);
        std::vector<std::byte> means(group.means.size(), kUntouched);
        Mirror memory(*backend);
        const GroupMeans one{memory.add(group.payload), memory.add(group.codes), memory.add(means)};
        backend->means(group.codec, group.d, std::span(&one, 1));
        memory.read();
        REQUIRE(means == group.means);
    });
}

TEST_CASE("Rows hold a leaf's codes as bytes and its values' grid, and nothing is written beyond them") {
    const auto backend = backendUnderTest();
    forEverySample([&](Group group) {
        group.encode(*backend);
        const std::size_t stride = rowsBytes(group.d) + 64;
        std::vector<std::byte> rows(kGroupLeaves * stride, kUntouched);
        std::vector<UnpackLeaf> leaves;
        Mirror memory(*backend);
        memory.add(group.payload), memory.add(group.codes), memory.add(rows);
        for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf)
            leaves.push_back(group.leaf(memory, leaf, memory.at(rows.data() + leaf * stride)));
        backend->unpack(group.codec, group.d, leaves);
        memory.read();
        const std::size_t d = group.d, blocks = valueBlocks(group.d), grid = 32 * d;
        for (std::size_t t = 0; t < kGroupTokens; ++t) {
            const std::byte* leaf = rows.data() + t / 16 * stride;
            for (std::size_t c = 0; c < d; ++c) {
                CAPTURE(t);
                CAPTURE(c);
                REQUIRE(bits(leaf[t % 16 * d + c], 0, 255) == group.keyCode(t, c));
                REQUIRE(static_cast<std::int8_t>(leaf[(16 + t % 16) * d + c]) == group.valueCode(t, c));
                REQUIRE(f16At(leaf + grid + 4 * (t % 16 * blocks + c / 32)) == group.valueLeast(t, c));
                REQUIRE(f16At(leaf + grid + 4 * (t % 16 * blocks + c / 32) + 2) == group.valueStep(t, c));
            }
        }
        for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf)
            for (std::size_t i = rowsBytes(group.d); i < stride; ++i) REQUIRE(rows[leaf * stride + i] == kUntouched);
    });
}

TEST_CASE("Every instruction set gives the same bytes, in groups and in rows") {
    const auto reference = makeCpuBackendWith(Isa::Scalar, 1);
    const auto backend = backendUnderTest();
    forEverySample([&](Group group) {
        Group other = group;
        group.encode(*reference);
        other.encode(*backend);
        REQUIRE(group.payload == other.payload);
        REQUIRE(group.codes == other.codes);
        REQUIRE(group.means == other.means);
        std::vector<std::byte> expected(rowsBytes(group.d), kUntouched), rows = expected;
        group.unpack(*reference, 2, expected);
        group.unpack(*backend, 2, rows);
        REQUIRE(expected == rows);
    });
}

TEST_CASE("Many groups and leaves at once give the bytes of one at a time") {
    const auto backend = backendUnderTest(3);
    constexpr std::size_t kGroups = 37;  // 148 leaves: more than one thread takes, and not a whole number of parts
    constexpr std::uint32_t kDim = 64;
    for (const KvCodec codec : kCodecs) {
        std::vector<Group> alone, together;
        for (unsigned g = 0; g < kGroups; ++g) alone.push_back(sampleGroup(codec, kDim, Content::Normal, g));
        together = alone;
        std::vector<EncodeGroup> groups;
        Mirror memory(*backend);
        for (Group& group : together) groups.push_back(group.parts(memory));
        backend->encode(codec, kDim, groups);
        memory.read();
        const std::size_t stride = rowsBytes(kDim);
        std::vector<std::byte> expected(kGroups * kGroupLeaves * stride, kUntouched), rows = expected;
        std::vector<UnpackLeaf> leaves;
        memory.add(rows);
        for (std::size_t g = 0; g < kGroups; ++g) {
            alone[g].encode(*backend);
            CAPTURE(g);
            REQUIRE(alone[g].payload == together[g].payload);
            REQUIRE(alone[g].codes == together[g].codes);
            REQUIRE(alone[g].means == together[g].means);
            for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf) {
                const std::size_t at = (g * kGroupLeaves + leaf) * stride;
                alone[g].unpack(*backend, leaf, std::span(expected).subspan(at, stride));
                leaves.push_back(together[g].leaf(memory, leaf, memory.at(rows.data()) + at));
            }
        }
        backend->unpack(codec, kDim, leaves);
        memory.read();
        REQUIRE(expected == rows);
    }
}

// A reading outlives the program and the machine that wrote it: other bytes need another format version.
TEST_CASE("The bytes of known groups never change") {
    const auto backend = backendUnderTest();
    std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
    forEverySample([&](Group group) {
        group.encode(*backend);
        for (const auto* part : {&group.payload, &group.codes, &group.means})
            for (const std::byte byte : *part) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3u;
    });
    CHECK(hash == 0x426501405f68f5ddu);
}
