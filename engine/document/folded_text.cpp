#include "document/folded_text.h"

#include "document/utf8.h"

#include <utf8proc.h>

#include <algorithm>

namespace carrel {
namespace {

constexpr char32_t kSoftHyphen = 0xad;

// visit(first byte of a character of text, its folded form) in order; nothing for what goes. White space is left to
// whoever asks: it comes as " ".
template <class Visit>
void fold(std::string_view text, const Visit& visit) {
    std::string folded;
    for (std::size_t at = 0; at < text.size();) {
        if (const auto byte = static_cast<unsigned char>(text[at]); byte < 0x80) {  // nearly all there is to most texts
            const bool space = byte == ' ' || byte == '\n' || byte == '\t';
            const char plain = static_cast<char>(space ? ' ' : byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
            visit(at++, std::string_view(&plain, 1));
            continue;
        }
        const auto* from = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at;
        utf8proc_int32_t code = 0;
        const auto bytes = utf8proc_iterate(from, static_cast<utf8proc_ssize_t>(text.size() - at), &code);
        if (bytes <= 0) {  // not UTF-8 after all: it matches nothing
            ++at;
            continue;
        }
        const auto category = utf8proc_category(code);
        folded.clear();
        if (category == UTF8PROC_CATEGORY_ZS) {
            folded = " ";
        } else if (static_cast<char32_t>(code) != kSoftHyphen) {
            utf8proc_int32_t parts[16];
            int boundary = 0;
            const auto count = utf8proc_decompose_char(code, parts, 16, UTF8PROC_CASEFOLD, &boundary);
            for (utf8proc_ssize_t i = 0; i < count && i < 16; ++i) appendUtf8(folded, static_cast<char32_t>(parts[i]));
        }
        if (!folded.empty()) visit(at, std::string_view(folded));
        at += static_cast<std::size_t>(bytes);
    }
}

}  // namespace

FoldedText::FoldedText(std::string_view text) : text_(text) {
    folded_.reserve(text.size());
    const auto beside = [this](std::size_t original) {
        const std::size_t at = folded_.size();
        if (steps_.empty() || original - at != steps_.back().second - std::size_t{steps_.back().first})
            steps_.emplace_back(static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(original));
    };
    fold(text, [&](std::size_t at, std::string_view folded) {
        if (folded == " " && !folded_.empty() && folded_.back() == ' ') return;
        beside(at);
        folded_ += folded;
    });
    beside(text.size());
}

std::uint64_t FoldedText::originalOf(std::size_t folded) const {
    const auto after = std::ranges::upper_bound(steps_, folded, {}, &std::pair<std::uint32_t, std::uint32_t>::first);
    const auto& step = *std::prev(after);  // the first one is at 0
    // Inside of a character that folds to more than itself there is no more than that character.
    const std::uint64_t at = step.second + (folded - step.first);
    return after == steps_.end() ? at : std::min<std::uint64_t>(at, after->second);
}

std::vector<ByteSpan> FoldedText::find(std::string_view words, std::size_t most) const {
    std::string wanted;
    fold(words, [&](std::size_t, std::string_view folded) {
        if (folded == " " && (wanted.empty() || wanted.back() == ' ')) return;
        wanted += folded;
    });
    while (!wanted.empty() && wanted.back() == ' ') wanted.pop_back();
    std::vector<ByteSpan> found;
    if (wanted.empty()) return found;
    for (std::size_t at = folded_.find(wanted); at != std::string::npos && found.size() < most;
         at = folded_.find(wanted, at + wanted.size())) {
        std::uint64_t first = originalOf(at), end = originalOf(at + wanted.size());
        while (!isBoundary(text_, first)) --first;
        while (!isBoundary(text_, end)) ++end;
        if (end > first) found.push_back({first, end - first});
    }
    return found;
}

}  // namespace carrel
