#include "document/utf8.h"

#include <utf8proc.h>

namespace carrel {
namespace {

bool isControl(utf8proc_int32_t c) {
    return c < 0x20 ? c != '\n' && c != '\t' : c >= 0x7F && c < 0xA0;
}

// The character at `at`, or -1; length is what it takes (1 where it is not valid).
utf8proc_int32_t next(std::span<const std::byte> bytes, std::size_t at, std::size_t& length) {
    utf8proc_int32_t code = -1;
    const auto got = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(bytes.data() + at),
                                      static_cast<utf8proc_ssize_t>(bytes.size() - at), &code);
    length = got > 0 ? static_cast<std::size_t>(got) : 1;
    return got > 0 ? code : -1;
}

}  // namespace

bool isCleanUtf8(std::span<const std::byte> bytes) {
    for (std::size_t at = 0, length = 0; at < bytes.size(); at += length) {
        const auto code = next(bytes, at, length);
        if (code < 0 || isControl(code)) return false;
    }
    return true;
}

std::string cleanUtf8(std::span<const std::byte> bytes) {
    std::string text;
    text.reserve(bytes.size());
    for (std::size_t at = 0, length = 0; at < bytes.size(); at += length) {
        const auto code = next(bytes, at, length);
        if (code < 0) {
            text += "\xEF\xBF\xBD";
        } else if (code == '\r') {
            if (at + 1 == bytes.size() || bytes[at + 1] != std::byte{'\n'}) text += '\n';
        } else if (code == '\f') {
            text += "\n\n";
        } else if (!isControl(code)) {
            text.append(reinterpret_cast<const char*>(bytes.data() + at), length);
        }
    }
    return text;
}

std::string oneLine(std::string_view text) {
    std::string line;
    for (const char c : text) {
        const bool space = c == ' ' || c == '\n' || c == '\t';
        if (!space)
            line += c;
        else if (!line.empty() && line.back() != ' ')
            line += ' ';
    }
    if (!line.empty() && line.back() == ' ') line.pop_back();
    return line;
}

std::string_view prefix(std::string_view text, std::size_t bytes) {
    if (bytes >= text.size()) return text;
    while (bytes > 0 && !isBoundary(text, bytes)) --bytes;
    return text.substr(0, bytes);
}

void appendUtf8(std::string& text, char32_t code) {
    utf8proc_uint8_t bytes[4];
    const auto count = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes);
    text.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count));
}

}  // namespace carrel
