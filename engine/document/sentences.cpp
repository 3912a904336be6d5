#include "document/sentences.h"

#include <unicode/brkiter.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <string>

namespace carrel {
namespace {

// ICU takes a point behind one of these for the end of a sentence. Sorted, in small letters; what has points inside
// ("e.g.", "U.S.", "z.B.") and single letters (initials) need not be named.
constexpr std::array<std::string_view, 62> kAbbreviations = {
    // clang-format off
    "abb", "abs", "al", "app", "approx", "apr", "art", "aug", "bzw", "ca", "cap", "cf", "ch", "chap", "co", "corp",
    "dec", "dept", "dr", "ed", "eds", "eq", "eqs", "etc", "ex", "fa", "feb", "ff", "fig", "figs", "hr", "inc",
    "incl", "jan", "jr", "kap", "ltd", "mr", "mrs", "ms", "no", "nos", "nov", "nr", "oct", "op", "par", "pp",
    "prof", "resp", "sec", "sect", "sen", "sep", "sept", "sr", "st", "tab", "usw", "vgl", "vol", "vs"
    // clang-format on
};

bool isBlank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

std::size_t skipBlanks(std::string_view text, std::size_t at) {
    while (at < text.size() && isBlank(text[at])) ++at;
    return at;
}

bool isDigit(char c) {
    return c >= '0' && c <= '9';
}

bool isLetter(char c) {  // of ASCII
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

char32_t codeAt(std::string_view text, std::size_t at) {
    UChar32 code = 0;
    auto i = static_cast<std::int32_t>(at);
    U8_NEXT_OR_FFFD(text.data(), i, static_cast<std::int32_t>(text.size()), code);
    return static_cast<char32_t>(code);
}

bool isBullet(char32_t code) {
    constexpr std::u32string_view kBullets =
        U"\u2022\u2023\u25AA\u25AB\u25A0\u25CF\u25CB\u25E6\u2043\u2219\u00B7\u2013\u2014-*+";
    return kBullets.find(code) != std::u32string_view::npos;
}

/// Bytes of the mark that a list's item begins with, and the blanks behind it; 0: none. "2." counts, "2019." and "A."
/// do not.
std::size_t markLength(std::string_view line) {
    if (line.empty()) return 0;
    std::size_t at = 0;
    if (isBullet(codeAt(line, 0))) {
        at = 1;
        while (at < line.size() && (static_cast<unsigned char>(line[at]) & 0xc0) == 0x80) ++at;
    } else {
        const bool opened = line[0] == '(' || line[0] == '[';
        const std::size_t label = opened ? 1 : 0;
        std::size_t end = label;
        while (end < line.size() && (isDigit(line[end]) || isLetter(line[end]))) ++end;
        if (end == label || end - label > 3 || end == line.size()) return 0;
        const bool number = std::ranges::all_of(line.substr(label, end - label), isDigit);
        if (line[end] == '.' ? !number || opened : line[end] != ')' && line[end] != ']') return 0;
        at = end + 1;
    }
    const std::size_t content = skipBlanks(line, at);
    return content == at || content == line.size() ? 0 : content;
}

/// A line that stands for itself: "## Title", "3.1.2 Title", a row of a table.
bool standsAlone(std::string_view line) {
    if (line.starts_with('#')) {
        const std::size_t end = line.find_first_not_of('#');
        return end <= 6 && end < line.size() && line[end] == ' ';
    }
    if (line.starts_with('|')) return true;
    std::size_t at = 0;
    bool inside = false;  // "3.1", not "3."
    for (; at < line.size() && (isDigit(line[at]) || (line[at] == '.' && at > 0)); ++at)
        inside |= isDigit(line[at]) && at > 0 && line[at - 1] == '.';
    if (!inside || line.size() > 90) return false;
    const std::size_t title = skipBlanks(line, at);
    if (title == at || title == line.size() || std::string_view(".,;:!?").find(line.back()) != std::string_view::npos)
        return false;
    return u_isUUppercase(static_cast<UChar32>(codeAt(line, title)));
}

/// Whether what ends with `text` ends with a point that belongs to a word.
bool endsWithAbbreviation(std::string_view text) {
    while (!text.empty() && isBlank(text.back())) text.remove_suffix(1);
    if (!text.ends_with('.')) return false;
    text.remove_suffix(1);
    std::size_t first = text.size();
    while (first > 0 && (isLetter(text[first - 1]) || text[first - 1] == '.')) --first;
    const std::string_view word = text.substr(first);
    const bool whole = first == 0 || isBlank(text[first - 1]) ||
                       std::string_view("([\"'").find(text[first - 1]) != std::string_view::npos;
    if (!whole || word.empty() || word.back() == '.') return false;
    if (word.size() == 1 || word.find('.') != std::string_view::npos) return true;
    std::string small(word);
    std::ranges::transform(small, small.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return std::ranges::binary_search(kAbbreviations, std::string_view(small));
}

struct Block {
    std::size_t first, content, end;  // content: behind the mark of a list's item
    bool whole;                       // never cut
};

/// Paragraphs, items and lines that stand for themselves. A sentence never goes on in the next one.
std::vector<Block> blocksOf(std::string_view text) {
    std::vector<Block> blocks;
    bool open = false;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::size_t first = std::min(skipBlanks(text, at), end);
        std::size_t last = end;
        while (last > first && isBlank(text[last - 1])) --last;
        at = end + 1;
        const std::string_view line = text.substr(first, last - first);
        if (line.empty()) {
            open = false;
            continue;
        }
        const bool alone = standsAlone(line);
        const std::size_t mark = alone ? 0 : markLength(line);
        if (!open || alone || mark > 0)
            blocks.push_back({first, first + mark, last, alone});
        else
            blocks.back().end = last;
        open = !alone;
    }
    return blocks;
}

}  // namespace

struct SentenceFinder::Rules {
    std::unique_ptr<icu::BreakIterator> breaks;  // none where ICU's data is missing: then blocks are not cut
};

SentenceFinder::SentenceFinder() : rules_(std::make_unique<Rules>()) {
    UErrorCode status = U_ZERO_ERROR;
    rules_->breaks.reset(icu::BreakIterator::createSentenceInstance(icu::Locale::getRoot(), status));
    if (U_FAILURE(status)) rules_->breaks.reset();
}

SentenceFinder::~SentenceFinder() = default;

std::vector<ByteSpan> SentenceFinder::find(std::string_view text) const {
    std::vector<ByteSpan> sentences;
    const auto add = [&](std::size_t first, std::size_t end) {
        first = skipBlanks(text.substr(0, end), first);
        while (end > first && isBlank(text[end - 1])) --end;
        if (end > first) sentences.push_back({first, end - first});
    };
    for (const Block& block : blocksOf(text)) {
        std::string line(text.substr(block.content, block.end - block.content));
        std::ranges::replace(line, '\n', ' ');  // an end of a line is none of a sentence
        UErrorCode status = U_ZERO_ERROR;
        UText utf8 = UTEXT_INITIALIZER;
        utext_openUTF8(&utf8, line.data(), static_cast<std::int64_t>(line.size()), &status);
        if (rules_->breaks) rules_->breaks->setText(&utf8, status);
        std::size_t from = block.first;
        if (rules_->breaks && U_SUCCESS(status) && !block.whole) {
            rules_->breaks->first();
            for (auto at = rules_->breaks->next(); at != icu::BreakIterator::DONE; at = rules_->breaks->next()) {
                const auto end = static_cast<std::size_t>(at);
                if (endsWithAbbreviation(std::string_view(line).substr(0, end))) continue;
                add(from, block.content + end);
                from = block.content + end;
            }
        }
        add(from, block.end);
        utext_close(&utf8);
    }
    return sentences;
}

}  // namespace carrel
