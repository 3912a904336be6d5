#include "tokenizer/written_tokens.h"

#include <algorithm>
#include <numeric>

namespace carrel {

WrittenTokens::WrittenTokens(const TokenTexts& texts, std::vector<std::int32_t> ids)
    : texts_(&texts), longestFirst_(std::move(ids)), byText_(longestFirst_.size()) {
    std::ranges::stable_sort(longestFirst_, std::ranges::greater(), [&](std::int32_t id) { return texts[id].size(); });
    std::iota(byText_.begin(), byText_.end(), 0U);
    const auto text = [&](std::uint32_t place) { return texts[longestFirst_[place]]; };
    std::ranges::stable_sort(byText_, std::ranges::less(), text);
    firsts_.fill({0, 0});
    for (std::uint32_t i = 0; i < byText_.size(); ++i) {
        auto& [low, high] = firsts_[static_cast<unsigned char>(text(byText_[i])[0])];
        if (high == 0) low = i;
        high = i + 1;
    }
}

/// By place in longestFirst_. Vocabularies have thousands of such tokens, a text few of them: one walk finds which.
std::vector<bool> WrittenTokens::occurring(std::string_view text) const {
    std::vector<bool> found(longestFirst_.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto range = firsts_[static_cast<unsigned char>(text[at])];
        auto low = byText_.begin() + range.first;
        auto high = byText_.begin() + range.second;
        for (std::size_t depth = 1; low != high; ++depth) {  // [low, high) begin with these bytes of the text
            const auto word = [&](std::uint32_t place) { return (*texts_)[longestFirst_[place]]; };
            for (; low != high && word(*low).size() == depth; ++low) found[*low] = true;
            if (at + depth == text.size()) break;
            const auto next = [&](std::uint32_t place) { return static_cast<unsigned char>(word(place)[depth]); };
            const auto same = std::ranges::equal_range(low, high, static_cast<unsigned char>(text[at + depth]),
                                                       std::ranges::less(), next);
            low = same.begin();
            high = same.end();
        }
    }
    return found;
}

std::vector<Fragment> WrittenTokens::cut(std::string_view whole,
                                         const std::function<bool(std::int32_t)>& counts) const {
    std::vector<Fragment> parts{{0, whole.size(), -1}}, cut;
    const auto found = occurring(whole);
    for (std::size_t place = 0; place < found.size(); ++place) {
        const std::int32_t id = longestFirst_[place];
        if (!found[place] || !counts(id)) continue;
        const std::string_view word = (*texts_)[id];
        cut.clear();
        for (const Fragment& part : parts) {
            std::size_t at = part.first;
            const auto end = part.first + part.bytes;
            while (part.token < 0) {
                const auto next = whole.substr(0, end).find(word, at);
                if (next == std::string_view::npos) break;
                if (next > at) cut.push_back({at, next - at, -1});
                cut.push_back({next, word.size(), id});
                at = next + word.size();
            }
            if (at < end) cut.push_back({at, end - at, part.token});
        }
        std::swap(parts, cut);
    }
    return parts;
}

std::optional<std::int32_t> WrittenTokens::named(std::string_view name) const {
    const auto at = std::ranges::find(longestFirst_, name, [&](std::int32_t id) { return (*texts_)[id]; });
    if (at == longestFirst_.end()) return {};
    return *at;
}

}  // namespace carrel
