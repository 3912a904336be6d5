#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace carrel {

/// Position of the first byte that is no part of a valid UTF-8 character; text.size() if there is none.
std::size_t validUtf8Prefix(std::string_view text);

/// A text with every byte that belongs to no valid character replaced by U+FFFD (three bytes).
struct RepairedText {
    std::string text;
    std::vector<std::size_t> places;  // of the replacements in `text`, ascending
};
RepairedText repairUtf8(std::string_view text);

}  // namespace carrel
