#pragma once

#include <carrel/events.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace carrel {

/// A text made ready to be searched: case folded (Unicode), white space as one space, soft hyphens gone. Immutable; any
/// thread. About the text's size in memory.
class FoldedText {
  public:
    /// text: valid UTF-8 of less than 4 GiB; it stays where it is as long as this.
    explicit FoldedText(std::string_view text);
    /// Where `words` stand in the text, ascending, at most `most`; they do not overlap and hold whole characters.
    /// Nothing where words fold to nothing.
    std::vector<ByteSpan> find(std::string_view words, std::size_t most) const;

  private:
    std::uint64_t originalOf(std::size_t folded) const;

    std::string_view text_;
    std::string folded_;
    // From this byte of folded_ on bytes stand beside those from that byte of the text on.
    std::vector<std::pair<std::uint32_t, std::uint32_t>> steps_;
};

}  // namespace carrel
