#pragma once

#include <carrel/events.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "document/document.h"
#include "library/word_index.h"
#include "session/loaded_model.h"
#include "session/progress.h"
#include "store/reading_store.h"

namespace carrel {

/// A document's KV under one model: what is read, in memory and on disk, and the rest that step() reads.
/// Token positions: the prompt's opening, then the document, as much of it as the window holds less a reserve for tail
/// and answer.
class Reading {
  public:
    /// Loads what is on disk. KV that fails its checksum, or belongs to other tokens, is dropped and read again.
    /// Busy when another process reads this document; Corrupt, DiskFull, NoMemory, Io.
    static Result<std::unique_ptr<Reading>> open(const LoadedModel& model, ReadingStore& store, Document document);

    const Document& document() const { return document_; }
    const KvSequence& sequence() const { return sequence_; }
    KvStream& stream() const { return *stream_; }
    std::span<const std::int32_t> ids() const { return std::span(ids_).first(sequence_.tokens()); }  // read so far
    std::span<const TextToken> readTokens() const;  // the document's, read so far
    std::uint32_t openingTokens() const { return opening_; }
    bool complete() const { return sequence_.tokens() == ids_.size(); }
    Coverage coverage() const;
    ReadingProgress progress() const;
    std::uint64_t reusedTokens() const { return reused_; }
    double secondsReading() const { return progress_.seconds(); }
    WordIndex& words() { return *words_; }

    /// One quantum of reading. True while there is more. A failure (DiskFull, Io) leaves all whole batches read.
    Result<bool> step(Workspace& work);
    /// Forgets the batch at hand; the next step() begins it anew.
    void dropBatch();

  private:
    Reading(const LoadedModel& model, Document document);
    Status loadStored();
    Status beginBatch(Workspace& work);
    Status endBatch();

    const LoadedModel& model_;
    Document document_;
    std::vector<TextToken> tokens_;  // the whole document
    std::vector<std::int32_t> ids_;  // opening and what fits of the document
    std::uint32_t opening_ = 0;
    std::unique_ptr<KvStream> stream_;
    KvSequence sequence_;
    std::optional<WordIndex> words_;
    std::uint64_t reused_ = 0;
    ProgressFit progress_;
    std::shared_ptr<KvBlock> open_;
    std::optional<Pass> pass_;
    double batchSeconds_ = 0;
};

}  // namespace carrel
