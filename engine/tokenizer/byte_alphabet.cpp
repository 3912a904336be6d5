#include "tokenizer/byte_alphabet.h"

#include <array>
#include <cstdint>

namespace carrel {

namespace {

/// Code point -> byte. Printable bytes stand for themselves, the others for 256 onwards.
constexpr std::array<std::int16_t, 324> kAlphabet = [] {
    std::array<std::int16_t, 324> bytes{};
    bytes.fill(-1);
    int others = 256;
    for (int b = 0; b < 256; ++b) {
        const bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        bytes[static_cast<std::size_t>(printable ? b : others++)] = static_cast<std::int16_t>(b);
    }
    return bytes;
}();

}  // namespace

bool appendBytes(std::string_view entry, std::string& out) {
    for (std::size_t i = 0; i < entry.size(); ++i) {
        const auto point = static_cast<unsigned char>(entry[i]);
        std::size_t code = point;
        if (point >= 0x80) {  // the alphabet ends below U+0800: two bytes at most
            if ((point & 0xe0) != 0xc0 || i + 1 == entry.size() || (entry[i + 1] & 0xc0) != 0x80) return false;
            code = (point & 0x1fU) << 6 | (static_cast<unsigned char>(entry[++i]) & 0x3fU);
        }
        if (code >= kAlphabet.size() || kAlphabet[code] < 0) return false;
        out += static_cast<char>(kAlphabet[code]);
    }
    return true;
}

}  // namespace carrel
