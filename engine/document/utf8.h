#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace carrel {

/// Valid UTF-8 in which '\n' and '\t' are the only control characters.
bool isCleanUtf8(std::span<const std::byte> bytes);
/// What is valid, U+FFFD for each byte that is not; CR LF and CR become '\n', form feeds a blank line, other control
/// characters go.
std::string cleanUtf8(std::span<const std::byte> bytes);
/// Runs of white space become one space; none at the ends.
std::string oneLine(std::string_view text);
/// At most `bytes` of the text, ending with a whole character.
std::string_view prefix(std::string_view text, std::size_t bytes);
/// Position is at the start of a character, or at the end.
inline bool isBoundary(std::string_view text, std::size_t at) {
    return at == text.size() || (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80);
}
void appendUtf8(std::string& text, char32_t code);

}  // namespace carrel
