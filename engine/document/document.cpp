#include "document/document.h"

#include "document/utf8.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace carrel {
namespace {

std::uint64_t endOf(ByteSpan span) {
    return span.first + span.count;
}

// Words follow each other on one line when they overlap in height and stand no further apart than a wide space.
bool sameLine(const Box& a, const Box& b) {
    const float overlap = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
    const float height = std::min(a.height, b.height);
    const float gap = std::max(a.x, b.x) - std::min(a.x + a.width, b.x + b.width);
    return overlap > 0.5f * height && gap < 3 * std::max(a.height, b.height);
}

Box unite(const Box& a, const Box& b) {
    const float x = std::min(a.x, b.x), y = std::min(a.y, b.y);
    return {x, y, std::max(a.x + a.width, b.x + b.width) - x, std::max(a.y + a.height, b.y + b.height) - y};
}

bool isSpace(char c) {
    return c == ' ' || c == '\n' || c == '\t';
}

// Whether a sentence may begin at `at`: after a blank line, or after . ! ? (and closing quotes or brackets), white
// space, then neither a small letter ("e.g. this") nor a digit ("Fig. 3"). Bytes past ASCII count as capitals.
bool beginsSentence(std::string_view text, std::size_t at) {
    if (at == 0) return true;
    if (isSpace(text[at]) || !isSpace(text[at - 1])) return false;
    auto before = at;
    int newlines = 0;
    while (before > 0 && isSpace(text[before - 1])) newlines += text[--before] == '\n';
    if (before == 0 || newlines > 1) return true;
    if ((text[at] >= 'a' && text[at] <= 'z') || (text[at] >= '0' && text[at] <= '9')) return false;
    auto last = before - 1;
    while (last > 0 && (text[last] == '"' || text[last] == '\'' || text[last] == ')' || text[last] == ']')) --last;
    return text[last] == '.' || text[last] == '!' || text[last] == '?';
}

}  // namespace

std::size_t Document::placeOf(std::uint64_t byte) const {
    const auto after = std::upper_bound(places.begin(), places.end(), byte,
                                        [](std::uint64_t b, const Place& place) { return b < place.text.first; });
    auto index = after == places.begin() ? 0 : static_cast<std::size_t>(after - places.begin()) - 1;
    // Pages without text start where the page before them ends; the one that holds the byte comes first.
    while (index > 0 && places[index].text.count == 0) --index;
    return index;
}

std::vector<Box> Document::boxesOf(ByteSpan span) const {
    std::vector<Box> boxes;
    if (places.empty()) return boxes;
    const auto& words = places[placeOf(span.first)].words;
    auto word = std::partition_point(words.begin(), words.end(),
                                     [&](const WordBox& w) { return std::uint64_t{w.first} + w.count <= span.first; });
    bool open = false;
    for (; word != words.end() && word->first < endOf(span); ++word) {
        if (word->box.width <= 0 || word->box.height <= 0) continue;
        if (open && sameLine(boxes.back(), word->box))
            boxes.back() = unite(boxes.back(), word->box);
        else
            boxes.push_back(word->box);
        open = true;
    }
    return boxes;
}

ByteSpan Document::sentencesAround(ByteSpan span, std::uint64_t maxBytes) const {
    if (places.empty()) return {};
    const auto& place = places[placeOf(span.first)].text;
    const std::string_view body = std::string_view(text).substr(place.first, place.count);
    std::size_t first = std::clamp(span.first, place.first, endOf(place)) - place.first;
    std::size_t end = std::clamp(endOf(span), place.first, endOf(place)) - place.first;
    end = std::max(first, end);
    const std::size_t spanFirst = first, spanEnd = end;
    while (first > 0 && (first >= body.size() || !beginsSentence(body, first))) --first;
    while (end < body.size() && !(end > first && beginsSentence(body, end))) ++end;
    if (end - first > maxBytes) {
        // The sentence is too long: what fits around the span, cut between words where there are any.
        const std::size_t spare = maxBytes - std::min<std::size_t>(maxBytes, spanEnd - spanFirst);
        const std::size_t low = std::max(first, spanFirst - std::min(spanFirst, spare / 2));
        const std::size_t high = std::min<std::size_t>(end, low + maxBytes);
        std::size_t from = low, to = high;
        while (from > first && from < spanFirst && !isSpace(body[from - 1])) ++from;
        while (to < end && to > spanEnd && !isSpace(body[to])) --to;
        while (from < to && !isBoundary(body, from)) ++from;
        while (to > from && !isBoundary(body, to)) --to;
        first = from, end = to;
    }
    while (first < end && isSpace(body[first])) ++first;
    while (end > first && isSpace(body[end - 1])) --end;
    return {place.first + first, end - first};
}

}  // namespace carrel
