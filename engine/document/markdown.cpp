#include "document/markdown.h"

#include "document/utf8.h"

#include <algorithm>
#include <string>

namespace carrel {
namespace {

struct Heading {
    std::size_t at;
    std::string words;
};

std::string_view trimmed(std::string_view line) {
    const auto first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return line.substr(first, line.find_last_not_of(" \t") - first + 1);
}

// The words of "## A heading ##", empty for any other line.
std::string_view atxWords(std::string_view line) {
    const auto level = line.find_first_not_of('#');
    if (level == std::string_view::npos || level == 0 || level > 6 || (line[level] != ' ' && line[level] != '\t'))
        return {};
    auto words = trimmed(line.substr(level));
    const auto end = words.find_last_not_of('#');
    if (end != std::string_view::npos && end + 1 < words.size() && words[end] == ' ')
        words = trimmed(words.substr(0, end));
    return words;
}

bool isUnderline(std::string_view line) {
    return line.size() >= 3 && (line[0] == '=' || line[0] == '-') &&
           line.find_first_not_of(line[0]) == std::string_view::npos;
}

std::string plainWords(std::string_view words) {
    std::string plain(words);
    std::erase_if(plain, [](char c) { return c == '`' || c == '*'; });
    return std::string(prefix(oneLine(plain), 120));
}

struct Scan {
    std::vector<Heading> headings;
    std::size_t standing = 0;  // headings between blank lines
    std::size_t comments = 0;  // lines with '#' that are not headings of prose
    bool marks = false;        // links, fences, emphasis, lists
};

Scan scan(std::string_view text) {
    Scan found;
    std::string_view fence, before;  // before: the line above, empty at the start and after a blank line
    bool frontMatter = text.starts_with("---\n"), awaitsBlank = false;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t start = at, end = std::min(text.find('\n', at), text.size());
        const auto line = trimmed(text.substr(start, end - start));
        at = end + 1;
        if (frontMatter) {
            frontMatter = start == 0 || (line != "---" && line != "...");
            continue;
        }
        if (!fence.empty()) {
            if (line.starts_with(fence)) fence = {};
            continue;
        }
        if (line.starts_with("```") || line.starts_with("~~~")) {
            fence = line.substr(0, 3);
            found.marks = true;
        } else if (const auto words = atxWords(text.substr(start, end - start)); !words.empty() && before.empty()) {
            found.headings.push_back({start, plainWords(words)});
            awaitsBlank = true;
            before = line;
            continue;
        } else if (line.starts_with('#')) {
            ++found.comments;
        } else if (isUnderline(line) && !before.empty() && atxWords(before).empty() &&
                   line.size() * 2 >= before.size()) {
            const auto above = static_cast<std::size_t>(before.data() - text.data());
            if (found.headings.empty() || found.headings.back().at < above) {
                found.headings.push_back({above, plainWords(before)});
                ++found.standing;
            }
        }
        if (awaitsBlank && line.empty()) ++found.standing;
        awaitsBlank = false;
        if (line.find("](") != std::string_view::npos || line.find("**") != std::string_view::npos ||
            line.starts_with("- ") || line.starts_with("* "))
            found.marks = true;
        before = line;
    }
    return found;
}

}  // namespace

std::vector<Place> markdownSections(std::string_view text) {
    auto found = scan(text);
    auto& headings = found.headings;
    if (headings.empty() || text.starts_with("#!") || found.comments * 4 > headings.size()) return {};
    if (found.standing * 2 < headings.size() && !found.marks) return {};
    if (headings.front().at > 0) headings.insert(headings.begin(), Heading{0, {}});
    std::vector<Place> sections;
    for (std::size_t i = 0; i < headings.size(); ++i) {
        const std::size_t first = headings[i].at, next = i + 1 < headings.size() ? headings[i + 1].at : text.size();
        const auto last = text.substr(0, next).find_last_not_of(" \t\n");
        if (last == std::string_view::npos || last < first) continue;
        Place place;
        place.text = {first, last + 1 - first};
        place.heading = std::move(headings[i].words);
        sections.push_back(std::move(place));
    }
    return sections;
}

}  // namespace carrel
