#include "word_geometry.h"

#include <algorithm>
#include <limits>

namespace carrel::app {
namespace {

bool isPlaced(const Box& box) {
    return box.width > 0 && box.height > 0;
}

float outside(float at, float from, float size) {
    return std::max({from - at, at - (from + size), 0.f});
}

// Words of one line overlap by half their height and stand no further apart than columns do.
bool sameLine(const Box& a, const Box& b) {
    const float overlap = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
    const float gap = std::max(a.x, b.x) - std::min(a.x + a.width, b.x + b.width);
    return overlap > 0.5f * std::min(a.height, b.height) && gap < 3 * std::max(a.height, b.height);
}

Box unite(const Box& a, const Box& b) {
    const float x = std::min(a.x, b.x), y = std::min(a.y, b.y);
    return {x, y, std::max(a.x + a.width, b.x + b.width) - x, std::max(a.y + a.height, b.y + b.height) - y};
}

}  // namespace

std::optional<std::size_t> nearestWord(const std::vector<WordBox>& words, float x, float y) {
    // Three to one: beside a line's end is nearer to it than to the longer line below.
    constexpr float kAcrossLines = 3;
    std::optional<std::size_t> nearest;
    float least = std::numeric_limits<float>::max();
    for (std::size_t i = 0; i < words.size(); ++i) {
        const Box& box = words[i].box;
        if (!isPlaced(box)) continue;
        const float distance = outside(x, box.x, box.width) + kAcrossLines * outside(y, box.y, box.height);
        if (distance < least) least = distance, nearest = i;
    }
    return nearest;
}

bool isWordAt(const std::vector<WordBox>& words, float x, float y) {
    return std::ranges::any_of(words, [&](const WordBox& word) {
        return isPlaced(word.box) && outside(x, word.box.x, word.box.width) == 0 &&
               outside(y, word.box.y, word.box.height) == 0;
    });
}

std::pair<std::size_t, std::size_t> lineOf(const std::vector<WordBox>& words, std::size_t word) {
    std::size_t first = word, last = word;
    while (first > 0 && sameLine(words[first - 1].box, words[first].box)) --first;
    while (last + 1 < words.size() && sameLine(words[last].box, words[last + 1].box)) ++last;
    return {first, last};
}

std::vector<Box> boxesOf(const std::vector<WordBox>& words, std::size_t first, std::size_t last) {
    std::vector<Box> boxes;
    for (std::size_t i = first; i <= last && i < words.size(); ++i) {
        const Box& box = words[i].box;
        if (!isPlaced(box)) continue;
        if (!boxes.empty() && sameLine(boxes.back(), box))
            boxes.back() = unite(boxes.back(), box);
        else
            boxes.push_back(box);
    }
    return boxes;
}

}  // namespace carrel::app
