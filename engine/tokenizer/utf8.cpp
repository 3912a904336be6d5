#include "tokenizer/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "tokenizer/tokenizer.h"

namespace carrel {

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

/// Bytes of the character at the start of `text`; 0 where there is none.
std::size_t charBytes(std::string_view text) {
    utf8proc_int32_t ignored = 0;
    const auto left = static_cast<utf8proc_ssize_t>(std::min<std::size_t>(text.size(), 4));
    const auto got = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), left, &ignored);
    return got > 0 ? static_cast<std::size_t>(got) : 0;
}

/// Whether more bytes could still make `text` the start of a character.
bool unfinished(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const std::size_t need = lead >= 0xf0 && lead <= 0xf4  ? 4
                             : lead >= 0xe0 && lead < 0xf0 ? 3
                             : lead >= 0xc2 && lead < 0xe0 ? 2
                                                           : 1;
    return text.size() < need && std::ranges::all_of(text.substr(1), [](char c) { return (c & 0xc0) == 0x80; });
}

}  // namespace

std::size_t validUtf8Prefix(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        std::uint64_t eight = 0;
        if (text.size() - at >= sizeof eight) {
            std::memcpy(&eight, text.data() + at, sizeof eight);
            if ((eight & 0x8080808080808080U) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        const std::size_t bytes = charBytes(text.substr(at));
        if (bytes == 0) return at;
        at += bytes;
    }
    return at;
}

RepairedText repairUtf8(std::string_view text) {
    RepairedText out;
    while (true) {
        const std::size_t good = validUtf8Prefix(text);
        out.text += text.substr(0, good);
        if (good == text.size()) return out;
        out.places.push_back(out.text.size());
        out.text += kReplacement;
        text.remove_prefix(good + 1);
    }
}

std::string Utf8Assembler::add(std::string_view bytes) {
    pending_ += bytes;
    std::string_view rest = pending_;
    std::string out;
    while (!rest.empty()) {
        const std::size_t good = validUtf8Prefix(rest);
        out += rest.substr(0, good);
        rest.remove_prefix(good);
        if (rest.empty() || unfinished(rest)) break;
        out += kReplacement;
        rest.remove_prefix(1);
    }
    pending_ = std::string(rest);
    return out;
}

std::string Utf8Assembler::finish() {
    std::string out = repairUtf8(pending_).text;
    pending_.clear();
    return out;
}

}  // namespace carrel
