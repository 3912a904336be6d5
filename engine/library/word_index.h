#pragma once

#include <carrel/events.h>
#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/sqlite.h"
#include "document/document.h"

namespace carrel {

/// A run of words within one place: what a word search finds.
struct WordWindow {
    ByteSpan span;
    std::size_t place = 0;  // index into Document::places
};

/// The whole text in windows of `words` words, one starting every `step` words of a place, in order.
std::vector<WordWindow> wordWindows(const Document& document, std::size_t words, std::size_t step);

/// What a person calls a place: "p. 12", or the heading's words.
std::string placeName(const Document& document, std::size_t place);

/// FTS5 expression: the words joined by OR, each quoted, function words dropped (kept where there is nothing else).
/// Empty: no words. unfinished: the last word stands for all that begin so; `shorter` letters of its end are left out,
/// for the index has stems.
std::string matchExpression(std::string_view words, bool unfinished = false, std::size_t shorter = 0);

struct RankedWindow {
    std::size_t window = 0;  // index into windows()
    double score = 0;        // BM25, larger is better
};

/// BM25 over one document's windows (40 words, half of them shared with the next), in memory: nothing of the text
/// reaches the disk. One thread at a time.
class WordIndex {
  public:
    static Result<WordIndex> build(const Document& document);
    /// Best first, at most `limit`; windows that share no word with the question are left out.
    Result<std::vector<RankedWindow>> rank(std::string_view question, std::size_t limit);
    /// The content words of a text, at most 64, each with the windows that hold it in any form, ascending.
    Result<std::vector<std::vector<std::size_t>>> occurrences(std::string_view text);
    const std::vector<WordWindow>& windows() const { return windows_; }

  private:
    WordIndex(SqlDatabase db, std::vector<WordWindow> windows) : db_(std::move(db)), windows_(std::move(windows)) {}
    SqlDatabase db_;
    std::vector<WordWindow> windows_;
};

}  // namespace carrel
