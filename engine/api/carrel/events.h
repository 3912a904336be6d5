#pragma once

#include <carrel/result.h>
#include <carrel/tiers.h>

#include <cstdint>
#include <string>
#include <vector>

namespace carrel {

/// A rectangle on a page, in points from the page's top left corner.
struct Box {
    float x = 0, y = 0, width = 0, height = 0;
};

/// [first, first + count) of a document's UTF-8 text, in bytes.
struct ByteSpan {
    std::uint64_t first = 0, count = 0;
    bool operator==(const ByteSpan&) const = default;
};

/// A place that an answer was read from.
struct Source {
    std::string place;       // "p. 12", or a heading's words
    std::uint32_t page = 0;  // from 1; 0 where the document has no pages
    ByteSpan span;           // of the quote
    std::string quote;       // verbatim: whole sentences, or the part around the place where one is very long
    std::vector<Box> boxes;  // of the quote on its page
    float share = 0;         // of what the listed sources weigh together, 0..1
};

/// Whether an answer's sources can be shown as where it came from.
enum class Provenance : std::uint8_t {
    Shown,    // they are listed
    Unclear,  // too little speaks for any place: none is listed
    NotSaid   // the answer says that the document does not tell: no place can show that
};

/// Which part of the document an answer could use.
struct Coverage {
    std::uint32_t pagesRead = 0, pagesTotal = 0;  // pages read in full from the start; 0 of 0 for text without pages
    std::uint64_t tokensRead = 0, tokensTotal = 0;
    bool goesOn = false;  // the rest fits the model's window and was not read yet
    bool whole() const { return tokensRead >= tokensTotal; }
};

/// What reading costs on this machine: perToken·n + perPair·n² seconds for n tokens. Zeros: not known.
struct ReadingSpeed {
    double perToken = 0, perPair = 0;
    bool known() const { return perToken > 0; }
    double seconds(double from, double to) const {  // tokens
        return perToken * (to - from) + perPair * (to * to - from * from);
    }
};

struct ReadingProgress {
    std::uint64_t tokensDone = 0, tokensTotal = 0;
    std::uint32_t pagesDone = 0, pagesTotal = 0;
    double tokensPerSecond = 0;  // over the last batches
    double etaSeconds =
        -1;  // from a fit of a·n + b·n² to its batches, and earlier readings'; negative while there is none
    ReadingSpeed speed = {};  // of its batches; not known where they were few
};

/// What a reading came to. Coverage says what did not fit the window.
struct ReadingSummary {
    std::string document;  // SHA-256, hex
    Coverage coverage;
    std::uint64_t reusedTokens = 0;
    double seconds = 0;
    std::uint64_t kvBytesF16 = 0, diskBytes = 0;
    std::uint64_t keyValueBytes = 0, sketchBytes = 0, headerBytes = 0;  // of diskBytes
};

/// Seconds of one turn's stages.
struct TurnTimings {
    double modelLoadS = 0, resumeS = 0, questionPrefillS = 0, firstTokenS = 0, decodeTokensPerS = 0;
};

struct Answer {
    std::string text;
    std::vector<Source> sources;  // best first, at most five
    Provenance provenance = Provenance::Shown;
    std::vector<float>
        pageShares;  // [pagesTotal] of the attention that the document got for this question; sums to 1, or empty
    Coverage coverage;
    std::uint32_t tokens = 0;
    std::uint32_t droppedTurns = 0;  // older turns of this chat that no longer fit the window
    bool stopped = false;            // by the person; the text up to there counts
    TurnTimings timings;
    TierReport tiers;  // of the turns answered together with this one
};

enum class TurnStage : std::uint8_t { Queued, Opening, ReadingQuestion, Answering };

/// Where a compute door reports. Called on the thread that calls Compute::step(), never after it returned.
/// Each ticket ends exactly once: readingEnded for a reading, answered or turnFailed for a turn.
class EventSink {
  public:
    virtual ~EventSink() = default;
    virtual void readingProgress(std::uint64_t ticket, const ReadingProgress& progress) = 0;
    virtual void readingEnded(std::uint64_t ticket, const Result<ReadingSummary>& summary) = 0;  // Cancelled: paused
    /// What was read of a document was evicted to make room; its text and chats stay.
    virtual void readingEvicted(const std::string& document, std::uint64_t bytes) {
        static_cast<void>(document);
        static_cast<void>(bytes);
    }
    virtual void turnStage(std::uint64_t ticket, TurnStage stage) = 0;
    /// Tokens that must be read before the answer begins, a layer of those at hand counting as its part of them: the
    /// question, and what of its chat is not stored.
    virtual void questionProgress(std::uint64_t /*ticket*/, std::uint32_t /*done*/, std::uint32_t /*total*/) {}
    virtual void turnText(std::uint64_t ticket, const std::string& text) = 0;  // whole UTF-8 characters, to append
    virtual void answered(std::uint64_t ticket, const Answer& answer) = 0;
    virtual void turnFailed(std::uint64_t ticket, const Error& error) = 0;
};

}  // namespace carrel
