#pragma once

#include <carrel/events.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "document/document.h"
#include "library/word_index.h"
#include "session/progress.h"
#include "session/token_reading.h"

namespace carrel {

/// A document's KV under one model: what is read, in memory and on disk, and the rest that step() reads.
/// Token positions: the prompt's opening, then the document, as much of it as the window holds less a reserve for tail
/// and answer.
class Reading {
  public:
    /// Opens what is on disk. KV that is found damaged, or belongs to other tokens, is dropped and read again; suspect:
    /// every checksum is looked at, because something turned out to be damaged.
    /// Busy when another process reads this document; Corrupt, DiskFull, NoMemory, Io.
    static Result<std::unique_ptr<Reading>> open(const LoadedModel& model, ReadingStore& store, Document document,
                                                 const KvSettings& settings, bool suspect = false);
    /// Tokens of a document that the window has room for.
    static std::size_t room(const LoadedModel& model);
    /// Of what earlier readings took, until this one's batches say more.
    void expect(const ReadingSpeed& speed) { progress_.expect(speed); }
    std::size_t documentTokens() const { return tokens_.size(); }

    const Document& document() const { return document_; }
    DocumentKv& kv() const { return read_->kv(); }            // whole groups
    const KvSequence& rest() const { return read_->rest(); }  // f16, behind them: less than a group
    const std::optional<ReadPolicy>& policy() const { return read_->policy(); }
    TierReport report(const ReadStats& stats, double decodeSeconds) const {
        return read_->report(stats, decodeSeconds);
    }
    std::uint32_t tokens() const { return read_->tokens(); }
    KvStream& stream() const { return read_->stream(); }
    std::span<const std::int32_t> ids() const { return std::span(read_->ids()).first(tokens()); }  // read so far
    std::span<const TextToken> readTokens() const;  // the document's, read so far
    std::uint32_t openingTokens() const { return opening_; }
    bool complete() const { return read_->complete(); }
    const std::optional<KvStream::Check>& found() const { return read_->found(); }
    bool damaged() const { return read_->damaged(); }
    Coverage coverage() const;
    std::uint32_t allTokens() const { return static_cast<std::uint32_t>(read_->ids().size()); }
    const std::vector<std::uint32_t>& pageStarts() const { return pageStarts_; }  // TierView's
    Result<Source> placeOf(std::uint32_t token, std::uint32_t count) const;       // Compute's
    ReadingProgress progress() const;
    /// What reading on adds to the disk, at most.
    std::uint64_t restBytes() const;
    std::uint64_t counting() const { return counting_; }  // TierView's
    void setCounting(std::uint64_t counting) { counting_ = counting; }
    bool outdated() const { return outdated_; }  // it has other budgets than the next one opened will have
    void outdate() { outdated_ = true; }
    std::uint64_t reusedTokens() const { return read_->reusedTokens(); }
    double secondsReading() const { return progress_.seconds(); }
    WordIndex& words() { return *words_; }

    /// One quantum of reading. True while there is more. A failure (DiskFull, Io) leaves all whole batches read.
    Result<bool> step(Workspace& work);
    /// Forgets the batch at hand; the next step() begins it anew.
    void dropBatch() { read_->dropBatch(); }
    Result<bool> probeHolds(Workspace& work) { return read_->probeHolds(work); }

  private:
    explicit Reading(Document document) : document_(std::move(document)) {}
    void findPages();

    Document document_;
    std::vector<TextToken> tokens_;  // the whole document
    std::uint32_t opening_ = 0;
    std::vector<std::uint32_t> pageStarts_;
    std::uint64_t counting_ = 0;
    bool outdated_ = false;
    std::optional<TokenReading> read_;  // opening and what fits of the document
    std::optional<WordIndex> words_;
    ProgressFit progress_;
    double batchSeconds_ = 0;
};

}  // namespace carrel
