#include "document/pdf_helper/page_text.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace carrel::pdf {
namespace {

constexpr char32_t kSoftHyphen = 0xAD, kHyphen = 0x2010;

utf8proc_category_t category(char32_t c) {
    return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool isSpace(char32_t c) {
    const auto kind = category(c);
    return c == '\t' || c == '\r' || c == '\f' || kind == UTF8PROC_CATEGORY_ZS || kind == UTF8PROC_CATEGORY_ZL ||
           kind == UTF8PROC_CATEGORY_ZP;
}

bool isDropped(char32_t c) {
    const auto kind = category(c);
    const bool bidi = c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    return kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CS || kind == UTF8PROC_CATEGORY_CN || bidi ||
           c == 0xFEFF;
}

bool isLetter(char32_t c) {
    const auto kind = category(c);
    return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

struct Word {
    std::u32string codes;
    Box box;
};

struct Line {
    std::vector<Word> words;
    Box box;
};

Box unite(const Box& a, const Box& b) {
    const float x = std::min(a.x, b.x), y = std::min(a.y, b.y);
    return {x, y, std::max(a.x + a.width, b.x + b.width) - x, std::max(a.y + a.height, b.y + b.height) - y};
}

// Poppler leaves out the space before what stands far away on the same line, as page numbers in a table of contents do.
bool farApart(const Box& a, const Box& b) {
    const float dx = std::max(a.x, b.x) - std::min(a.x + a.width, b.x + b.width);
    const float dy = std::max(a.y, b.y) - std::min(a.y + a.height, b.y + b.height);
    return std::max(dx, dy) > 0.4f * std::max({a.width, a.height, b.width, b.height});
}

std::vector<Line> linesOf(std::span<const PageChar> chars) {
    std::vector<Line> lines(1);
    bool inWord = false;
    Box last;
    for (const auto& [code, box] : chars) {
        if (code == '\n') {
            if (!lines.back().words.empty()) lines.emplace_back();
            inWord = false;
        } else if (isSpace(code)) {
            inWord = false;
        } else if (!isDropped(code)) {
            auto& words = lines.back().words;
            if (!inWord || farApart(last, box)) words.push_back({{}, box});
            inWord = true;
            words.back().codes.push_back(code);
            words.back().box = unite(words.back().box, box);
        }
        last = box;
    }
    if (lines.back().words.empty()) lines.pop_back();
    for (auto& line : lines) {
        line.box = line.words.front().box;
        for (const auto& word : line.words) line.box = unite(line.box, word.box);
    }
    return lines;
}

std::string normalised(std::u32string codes) {
    std::erase(codes, kSoftHyphen);
    std::string plain;
    for (const char32_t c : codes) {
        utf8proc_uint8_t bytes[4];
        const auto count = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes);
        plain.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count));
    }
    utf8proc_uint8_t* mapped = nullptr;
    const auto size = utf8proc_map(
        reinterpret_cast<const utf8proc_uint8_t*>(plain.data()), static_cast<utf8proc_ssize_t>(plain.size()), &mapped,
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
    if (size < 0) return plain;
    return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
}

enum class Joint { Line, Paragraph, Glue, DropHyphen };

// A hyphen at a line's end is dropped where a small letter follows ("exam-ple"), kept where it must have stood there
// ("X-Ray").
Joint jointOf(const Line& line, const Line& next) {
    const auto& codes = line.words.back().codes;
    const char32_t last = codes.back(), before = codes.size() > 1 ? codes[codes.size() - 2] : 0;
    const char32_t after = next.words.front().codes.front();
    if (last == kSoftHyphen && isLetter(after)) return Joint::Glue;
    if ((last == '-' || last == kHyphen) && isLetter(before)) {
        const auto kind = category(after);
        if (kind == UTF8PROC_CATEGORY_LL) return Joint::DropHyphen;
        if (isLetter(after) || kind == UTF8PROC_CATEGORY_ND) return Joint::Glue;
    }
    // 0.7 of a line's height: wider than the leading of running text, narrower than a blank line.
    const float gap = next.box.y - (line.box.y + line.box.height);
    return gap > 0.7f * std::min(line.box.height, next.box.height) ? Joint::Paragraph : Joint::Line;
}

}  // namespace

std::vector<PageChar> onPage(std::vector<PageChar> chars, const Box& page) {
    bool inWord = false, hidden = false;  // the word at hand began outside
    std::erase_if(chars, [&](const PageChar& c) {
        if (c.code == '\n' || isSpace(c.code)) {
            inWord = false;
            return false;
        }
        if (!inWord) {
            const Box& box = c.box;
            const bool placed = box.width > 0 && box.height > 0;
            hidden = placed && (box.x >= page.x + page.width || box.x + box.width <= page.x ||
                                box.y >= page.y + page.height || box.y + box.height <= page.y);
        }
        inWord = true;
        return hidden;
    });
    return chars;
}

PageText buildPageText(std::span<const PageChar> chars) {
    auto lines = linesOf(chars);
    PageText page;
    bool glued = false;  // the line's first word belongs to the line above, and the break moves behind it
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const auto joint = i + 1 < lines.size() ? jointOf(lines[i], lines[i + 1]) : Joint::Glue;
        auto& words = lines[i].words;
        if (joint == Joint::DropHyphen) words.back().codes.pop_back();
        std::size_t index = 0;
        for (auto& word : words) {
            const auto text = normalised(std::move(word.codes));
            if (text.empty()) continue;
            if (index > 0) page.text += glued && index == 1 ? '\n' : ' ';
            ++index;
            page.words.push_back(
                {static_cast<std::uint32_t>(page.text.size()), static_cast<std::uint32_t>(text.size()), word.box});
            page.text += text;
        }
        if (index == 0) continue;
        if (joint == Joint::Line) page.text += '\n';
        if (joint == Joint::Paragraph) page.text += "\n\n";
        glued = joint == Joint::Glue || joint == Joint::DropHyphen;
    }
    return page;
}

}  // namespace carrel::pdf
