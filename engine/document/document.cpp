#include "document/document.h"

#include <algorithm>

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

}  // namespace carrel
