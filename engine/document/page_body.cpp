#include "document/page_body.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

namespace carrel {
namespace {

constexpr std::size_t kLines = 2;  // of a header; more are text
constexpr std::size_t kLineBytes = 160;
constexpr std::size_t kNeighbours = 2;  // left and right pages often have headers of their own

enum class Edge { Top, Bottom };

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first);
}

std::string_view textOf(const Document& document, std::size_t place) {
    const ByteSpan span = document.places[place].text;
    return trimmed(std::string_view(document.text).substr(span.first, span.count));
}

/// The paragraph at that edge where it may be a header; else empty.
std::string_view edgeOf(std::string_view text, Edge edge) {
    const std::size_t gap = edge == Edge::Top ? text.find("\n\n") : text.rfind("\n\n");
    if (gap == std::string_view::npos) return {};
    const std::string_view found = trimmed(edge == Edge::Top ? text.substr(0, gap) : text.substr(gap));
    const bool few = static_cast<std::size_t>(std::ranges::count(found, '\n')) < kLines;
    return few && found.size() <= kLines * kLineBytes ? found : std::string_view();
}

/// Of each line what stays the same from page to page; of a page's number, nothing.
std::vector<std::string> keysOf(std::string_view lines) {
    std::vector<std::string> keys;
    while (!lines.empty()) {
        const std::string_view line = lines.substr(0, lines.find('\n'));
        lines.remove_prefix(std::min(line.size() + 1, lines.size()));
        std::string& key = keys.emplace_back();
        std::ranges::copy_if(line, std::back_inserter(key), [](char c) { return c > ' ' && (c < '0' || c > '9'); });
        if (key.find_first_not_of("ivxlc") == std::string::npos) key.clear();
    }
    return keys;
}

/// The header or footer at that edge; empty where there is none.
std::string_view runningAt(const Document& document, std::size_t place, Edge edge) {
    const std::string_view own = edgeOf(textOf(document, place), edge);
    const std::vector<std::string> keys = keysOf(own);
    const std::size_t end = std::min(place + kNeighbours + 1, document.places.size());
    for (std::size_t other = place - std::min(place, kNeighbours); other < end; ++other) {
        if (other == place) continue;
        const std::vector<std::string> there = keysOf(edgeOf(textOf(document, other), edge));
        if (std::ranges::find_first_of(keys, there) != keys.end()) return own;
    }
    return {};
}

}  // namespace

ByteSpan pageBody(const Document& document, std::size_t place) {
    const ByteSpan whole = document.places[place].text;
    if (!document.hasPages()) return whole;
    const std::string_view header = runningAt(document, place, Edge::Top);
    const std::string_view footer = runningAt(document, place, Edge::Bottom);
    const auto byteOf = [&](const char* at) { return static_cast<std::uint64_t>(at - document.text.data()); };
    const std::uint64_t first = header.empty() ? whole.first : byteOf(header.data() + header.size());
    const std::uint64_t end = footer.empty() ? whole.first + whole.count : byteOf(footer.data());
    const bool nothing = first >= end || trimmed(std::string_view(document.text).substr(first, end - first)).empty();
    return nothing ? ByteSpan{whole.first, 0} : ByteSpan{first, end - first};
}

}  // namespace carrel
