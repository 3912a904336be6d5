#pragma once

#include <carrel/pages.h>

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace carrel::app {

/// Where words stand on a page; pure. Words without a box are passed over. Coordinates are points.

/// The word nearest to a point: one of the nearest line, as a person means it who points beside a line.
std::optional<std::size_t> nearestWord(const std::vector<WordBox>& words, float x, float y);
/// Whether a word's box holds the point.
bool isWordAt(const std::vector<WordBox>& words, float x, float y);
/// First and last word of the line that a word is part of.
std::pair<std::size_t, std::size_t> lineOf(const std::vector<WordBox>& words, std::size_t word);
/// One box a line of the words first to last, both inside.
std::vector<Box> boxesOf(const std::vector<WordBox>& words, std::size_t first, std::size_t last);

}  // namespace carrel::app
