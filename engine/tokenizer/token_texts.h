#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace carrel {

/// What the tokens of a vocabulary stand for, by id, end to end in one string. Views hold until the next append.
class TokenTexts {
  public:
    void append(std::string_view text) {
        texts_ += text;
        ends_.push_back(static_cast<std::uint32_t>(texts_.size()));  // a file's header is far below 4 GiB
    }
    std::string_view operator[](std::int32_t id) const {
        const auto i = static_cast<std::size_t>(id);
        const std::uint32_t first = i == 0 ? 0 : ends_[i - 1];
        return std::string_view(texts_).substr(first, ends_[i] - first);
    }
    std::size_t size() const { return ends_.size(); }
    void reserve(std::size_t tokens) { ends_.reserve(tokens); }

  private:
    std::string texts_;
    std::vector<std::uint32_t> ends_;
};

/// Text -> token: a flat hash table, sized once. Filled by one thread, then read by any; the texts must outlive it.
class TextIndex {
  public:
    TextIndex(const TokenTexts& texts, std::size_t count);
    void add(std::int32_t id);                       // at most `count`; of two alike the last holds
    std::int32_t find(std::string_view text) const;  // negative: none

  private:
    struct Slot {
        std::uint32_t hash;
        std::int32_t id;  // negative: empty
    };
    std::size_t slotOf(std::string_view text, std::uint32_t hash) const;
    const TokenTexts* texts_;
    std::vector<Slot> slots_;  // a power of two, at most three quarters full
};

}  // namespace carrel
