#pragma once

#include "document/document.h"

#include <span>
#include <string>
#include <vector>

namespace carrel::pdf {

/// One character as Poppler gives it: words are parted by white space, lines end in '\n'.
struct PageChar {
    char32_t code = 0;
    Box box;
};

struct PageText {
    std::string text;            // UTF-8, NFKC
    std::vector<WordBox> words;  // ascending; a word hyphenated over two lines is two boxes with no space between
};

/// Without the words that begin outside of the page: nobody sees them. Characters without a box stay. Pure.
std::vector<PageChar> onPage(std::vector<PageChar> chars, const Box& page);

/// Plain text of one page: words parted by a space, lines by '\n', paragraphs by a blank line; words hyphenated at a
/// line's end are joined, ligatures expanded, control characters and bidi marks dropped. Pure.
PageText buildPageText(std::span<const PageChar> chars);

}  // namespace carrel::pdf
