#pragma once

#include "document/document.h"

#include <string_view>
#include <vector>

namespace carrel {

/// The sections of a Markdown text, heading to heading (ATX and setext), code fences and front matter left alone; text
/// before the first heading is a section without one. Empty where the text is not Markdown: files come without a
/// trustworthy suffix, and '#' also starts comments, so headings must stand between blank lines, or the text must show
/// other marks of Markdown too.
std::vector<Place> markdownSections(std::string_view text);

}  // namespace carrel
