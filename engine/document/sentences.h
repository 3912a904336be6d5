#pragma once

#include <carrel/events.h>

#include <memory>
#include <string_view>
#include <vector>

namespace carrel {

/// Finds what a quote may begin and end with: sentences (of any script, also across lines), list items, headings and
/// rows of tables. Where it is unsure (abbreviations) it joins rather than cuts. Making one takes milliseconds; one
/// thread at a time.
class SentenceFinder {
  public:
    SentenceFinder();
    ~SentenceFinder();
    /// In bytes of `text` (UTF-8), ascending; white space at their ends belongs to none, all else to one.
    std::vector<ByteSpan> find(std::string_view text) const;

  private:
    struct Rules;
    std::unique_ptr<Rules> rules_;
};

}  // namespace carrel
