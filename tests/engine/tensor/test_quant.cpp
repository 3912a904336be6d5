#include "tensor/quant.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

using namespace carrel;

namespace {

std::vector<float> dequantized(DType type, std::vector<std::uint8_t> raw) {
    const auto info = dtypeInfo(static_cast<std::uint32_t>(type));
    REQUIRE(raw.size() == info->blockBytes);
    std::vector<float> out(info->blockElements);
    dequantizeRow(type, std::as_bytes(std::span(raw)), out);
    return out;
}

constexpr std::uint8_t kHalf[2] = {0x00, 0x38}, kTwo[2] = {0x00, 0x40};  // f16

}  // namespace

TEST_CASE("Every f16 survives the way to f32 and back") {
    for (std::uint32_t h = 0; h < 0x10000; ++h) {
        const float f = f16ToF32(static_cast<std::uint16_t>(h));
        if (std::isnan(f)) {
            CHECK(std::isnan(f16ToF32(f32ToF16(f))));
            continue;
        }
        REQUIRE(f32ToF16(f) == h);
    }
    CHECK(f16ToF32(0x3c00) == 1.0f);
    CHECK(f16ToF32(0x0001) == 0x1p-24f);
    CHECK(f16ToF32(0x7bff) == 65504.0f);
}

TEST_CASE("f32 rounds to the nearest f16, ties to even, past the largest to infinity") {
    for (std::uint32_t h = 0; h < 0x7bff; ++h) {
        const float low = f16ToF32(static_cast<std::uint16_t>(h)), high = f16ToF32(static_cast<std::uint16_t>(h + 1));
        const float middle = low + (high - low) / 2;
        REQUIRE(f32ToF16(middle) == h + (h & 1));
        REQUIRE(f32ToF16(std::nextafter(middle, low)) == h);
        REQUIRE(f32ToF16(std::nextafter(middle, high)) == h + 1);
        REQUIRE(f32ToF16(-middle) == (0x8000 | (h + (h & 1))));
    }
    CHECK(f32ToF16(65519.0f) == 0x7bff);
    CHECK(f32ToF16(65520.0f) == 0x7c00);
    CHECK(f32ToF16(1e30f) == 0x7c00);
    CHECK(f32ToF16(1e-30f) == 0);
}

TEST_CASE("Types that Carrel does not run are refused by number") {
    for (const std::uint32_t type : {0u, 1u, 2u, 3u, 6u, 7u, 8u, 10u, 11u, 12u, 13u, 14u, 20u, 23u, 30u})
        CHECK(dtypeInfo(type));
    const auto other = dtypeInfo(9);
    REQUIRE_FALSE(other);
    CHECK(other.error().code == Code::Unsupported);
    CHECK(other.error().detail.find('9') != std::string::npos);
}

TEST_CASE("Blocks of 32 mean what the format says") {
    std::vector<std::uint8_t> q8{kHalf[0], kHalf[1]};
    for (int i = 0; i < 32; ++i) q8.push_back(static_cast<std::uint8_t>(i * 8 - 128));
    const auto a = dequantized(DType::Q8_0, q8);
    for (int i = 0; i < 32; ++i) CHECK(a[static_cast<std::size_t>(i)] == 0.5f * static_cast<float>(i * 8 - 128));

    std::vector<std::uint8_t> q4{kHalf[0], kHalf[1]};
    for (int i = 0; i < 16; ++i) q4.push_back(static_cast<std::uint8_t>(i | (15 - i) << 4));
    const auto b = dequantized(DType::Q4_0, q4);
    q4.insert(q4.begin() + 2, {kTwo[0], kTwo[1]});
    const auto c = dequantized(DType::Q4_1, q4);
    q4.insert(q4.begin() + 4, {0x01, 0x00, 0x00, 0x80});  // fifth bits of columns 0 and 31
    const auto d = dequantized(DType::Q5_1, q4);
    q4.erase(q4.begin() + 2, q4.begin() + 4);
    const auto e = dequantized(DType::Q5_0, q4);
    for (int i = 0; i < 32; ++i) {
        const int low = i < 16 ? i : 31 - i, five = low + (i == 0 || i == 31 ? 16 : 0);
        const auto at = static_cast<std::size_t>(i);
        CHECK(b[at] == 0.5f * static_cast<float>(low - 8));
        CHECK(c[at] == 0.5f * static_cast<float>(low) + 2);
        CHECK(d[at] == 0.5f * static_cast<float>(five) + 2);
        CHECK(e[at] == 0.5f * static_cast<float>(five - 16));
    }
}

TEST_CASE("Super-blocks of 256 unpack their factors and high bits") {
    // Factors of 32 columns j: scale 5 + j, minimum 40 + j (both cross into the bits that lie apart from j = 4 on).
    std::vector<std::uint8_t> factors(12);
    for (unsigned j = 0; j < 8; ++j) {
        const unsigned scale = 5 + 6 * j, min = 63 - 7 * j;
        if (j < 4) {
            factors[j] = static_cast<std::uint8_t>(factors[j] | scale);
            factors[j + 4] = static_cast<std::uint8_t>(factors[j + 4] | min);
        } else {
            factors[j + 4] = static_cast<std::uint8_t>((scale & 15) | (min & 15) << 4);
            factors[j - 4] = static_cast<std::uint8_t>(factors[j - 4] | scale >> 4 << 6);
            factors[j] = static_cast<std::uint8_t>(factors[j] | min >> 4 << 6);
        }
    }
    std::vector<std::uint8_t> raw{kHalf[0], kHalf[1], kTwo[0], kTwo[1]};
    raw.insert(raw.end(), factors.begin(), factors.end());
    std::vector<std::uint8_t> nibbles(128);
    for (unsigned i = 0; i < 256; ++i) {
        const unsigned q = (i * 7 + i / 32) & 15;
        auto& byte = nibbles[i / 64 * 32 + i % 32];
        byte = static_cast<std::uint8_t>(byte | q << (i / 32 % 2 * 4));
    }
    std::vector<std::uint8_t> five = raw;
    five.resize(16 + 32);
    for (unsigned i = 0; i < 256; ++i)
        if (i % 3 == 0) five[16 + i % 32] = static_cast<std::uint8_t>(five[16 + i % 32] | 1u << (i / 32));
    raw.insert(raw.end(), nibbles.begin(), nibbles.end());
    five.insert(five.end(), nibbles.begin(), nibbles.end());
    const auto a = dequantized(DType::Q4_K, raw), b = dequantized(DType::Q5_K, five);
    for (unsigned i = 0; i < 256; ++i) {
        const unsigned j = i / 32, q = (i * 7 + j) & 15;
        const float scale = 0.5f * static_cast<float>(5 + 6 * j), min = 2.0f * static_cast<float>(63 - 7 * j);
        CHECK(a[i] == scale * static_cast<float>(q) - min);
        CHECK(b[i] == scale * static_cast<float>(q + (i % 3 == 0 ? 16 : 0)) - min);
    }

    std::vector<std::uint8_t> six(210);
    for (unsigned i = 0; i < 256; ++i) {
        const unsigned q = (i * 11 + i / 16) & 63, half = i / 128, part = i % 128 / 32, l = i % 32;
        auto& low = six[half * 64 + part % 2 * 32 + l];
        auto& high = six[128 + half * 32 + l];
        low = static_cast<std::uint8_t>(low | (q & 15) << (part / 2 * 4));
        high = static_cast<std::uint8_t>(high | q >> 4 << (2 * part));
    }
    for (unsigned i = 0; i < 16; ++i) six[192 + i] = static_cast<std::uint8_t>(static_cast<int>(i) * 9 - 70);
    six[208] = kHalf[0], six[209] = kHalf[1];
    const auto c = dequantized(DType::Q6_K, six);
    for (unsigned i = 0; i < 256; ++i) {
        const int q = static_cast<int>((i * 11 + i / 16) & 63) - 32, scale = static_cast<int>(i / 16) * 9 - 70;
        CHECK(c[i] == 0.5f * static_cast<float>(scale) * static_cast<float>(q));
    }
}

TEST_CASE("Super-blocks of two and three bits have a factor for every 16 columns") {
    std::vector<std::uint8_t> two(80), three(108);
    for (unsigned i = 0; i < 256; ++i) {
        const unsigned half = i / 128, part = i % 128 / 32, l = i % 32;
        auto& pair = two[16 + half * 32 + l];
        pair = static_cast<std::uint8_t>(pair | ((i * 7 + i / 16) & 3) << 2 * part);
        const unsigned q = (i * 5 + i / 16) & 7;
        auto &low = three[32 + half * 32 + l], &high = three[l];
        low = static_cast<std::uint8_t>(low | (q & 3) << 2 * part);
        high = static_cast<std::uint8_t>(high | q >> 2 << (4 * half + part));
    }
    for (unsigned j = 0; j < 16; ++j) {
        two[j] = static_cast<std::uint8_t>(j | (15 - j) << 4);
        const unsigned scale = (4 * j + 3) & 63;
        auto &low = three[96 + j % 8], &high = three[104 + j % 4];
        low = static_cast<std::uint8_t>(low | (scale & 15) << (j < 8 ? 0 : 4));
        high = static_cast<std::uint8_t>(high | scale >> 4 << 2 * (j / 4));
    }
    two.insert(two.end(), {kHalf[0], kHalf[1], kTwo[0], kTwo[1]});
    three.insert(three.end(), {kHalf[0], kHalf[1]});
    const auto a = dequantized(DType::Q2_K, two), b = dequantized(DType::Q3_K, three);
    for (unsigned i = 0; i < 256; ++i) {
        const int j = static_cast<int>(i / 16);
        CHECK(a[i] == 0.5f * static_cast<float>(j) * static_cast<float>((i * 7 + i / 16) & 3) -
                          2.0f * static_cast<float>(15 - j));
        const int q = static_cast<int>((i * 5 + i / 16) & 7) - 4, scale = 4 * j + 3 - 32;
        CHECK(b[i] == 0.5f * static_cast<float>(scale) * static_cast<float>(q));
    }
}

TEST_CASE("Nibbles of IQ4 types look their values up") {
    const int values[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    std::vector<std::uint8_t> small{kHalf[0], kHalf[1]};
    for (unsigned i = 0; i < 16; ++i) small.push_back(static_cast<std::uint8_t>(i | (15 - i) << 4));
    const auto a = dequantized(DType::IQ4_NL, small);
    for (unsigned i = 0; i < 32; ++i) CHECK(a[i] == 0.5f * static_cast<float>(values[i < 16 ? i : 31 - i]));

    std::vector<std::uint8_t> super(136);
    super[0] = kHalf[0], super[1] = kHalf[1];
    for (unsigned j = 0; j < 8; ++j) {
        const unsigned scale = 9 * j;
        super[2 + j / 4] = static_cast<std::uint8_t>(super[2 + j / 4] | scale >> 4 << 2 * (j % 4));
        super[4 + j / 2] = static_cast<std::uint8_t>(super[4 + j / 2] | (scale & 15) << 4 * (j % 2));
    }
    const auto nibble = [](unsigned i) { return (i * 7 + i / 32) & 15; };
    for (unsigned i = 0; i < 128; ++i) {
        const unsigned column = i / 16 * 32 + i % 16;
        super[8 + i] = static_cast<std::uint8_t>(nibble(column) | nibble(column + 16) << 4);
    }
    const auto b = dequantized(DType::IQ4_XS, super);
    for (unsigned i = 0; i < 256; ++i) {
        const int scale = 9 * static_cast<int>(i / 32) - 32;
        CHECK(b[i] == 0.5f * static_cast<float>(scale) * static_cast<float>(values[nibble(i)]));
    }
}
