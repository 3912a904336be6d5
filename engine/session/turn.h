#pragma once

#include <carrel/compute.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "session/answer_text.h"
#include "session/reading.h"
#include "transformer/sampler.h"

namespace carrel {

/// A chat's tokens behind a reading: their KV in memory and, between turns, on disk.
struct Tail {
    std::string document, chat;
    std::uint32_t first = 0;        // where it leaves the reading: a multiple of 64
    KvSequence sequence;            // from `first` on
    std::vector<std::int32_t> ids;  // of the tail's tokens
    std::vector<float> baseline;    // [leaves]: attention when nothing is asked; empty until measured
    std::unique_ptr<KvStream> stream;
};

/// One question: tail tokens in passes of its own; then the answer's, one a pass, which it may share with other turns
/// on the same reading; then sources. Made on a reading that has at least a group of tokens.
class Turn {
  public:
    Turn(const LoadedModel& model, Reading& reading, Workspace& work, TurnRequest request)
        : model_(model), reading_(reading), work_(work), request_(std::move(request)) {}

    /// Brings the chat's tail up to its history: from `open` where it is that chat's, else from disk, else empty.
    Status prepare(ReadingStore& store, std::unique_ptr<Tail> open);
    /// One quantum of the question. False when answering can begin.
    Result<bool> step();
    /// Goes on to the next token. Nothing when the answer is complete; else what the next pass must run for this turn.
    Result<std::optional<PassInput>> next();
    /// A layer's mass of that pass: this turn's row.
    void keepMass(std::uint32_t layer, View<const float, 3> mass);
    /// After that pass: what comes next for turns whose rows follow each other.
    static Status choose(Pass& pass, std::size_t firstRow, std::span<Turn* const> turns);
    void accept();
    Reading& reading() const { return reading_; }
    TurnStage stage() const { return decoding_ ? TurnStage::Answering : TurnStage::ReadingQuestion; }
    /// Tokens of the question's prefill, done and in all.
    struct QuestionTokens {
        std::uint32_t done = 0, total = 0;
        bool operator==(const QuestionTokens&) const = default;
    };
    QuestionTokens questionTokens() const;
    std::string takeText() { return std::exchange(fresh_, {}); }
    /// Ends the turn: persists the tail, finds the sources. Also after a stop.
    Answer finish(bool stopped);
    std::unique_ptr<Tail> takeTail() { return std::move(tail_); }

  private:
    Status beginPass();
    Status endPass();
    std::vector<Source> findSources();

    const LoadedModel& model_;
    Reading& reading_;
    Workspace& work_;
    TurnRequest request_;
    std::unique_ptr<Tail> tail_;
    LeafHistory history_;                // of the answer
    std::vector<std::int32_t> pending_;  // to be run: the rest of the question, or the last sampled token
    std::vector<bool> answers_;          // of the tail's wanted tokens: an earlier answer's, read as it was then
    std::uint32_t firstNew_ = 0;         // position from which on the tail differs from what is stored
    std::size_t questionTokens_ = 0;     // pending_ at first
    std::shared_ptr<KvBlock> open_;
    std::optional<Pass> pass_;
    std::size_t passTokens_ = 0;
    bool decoding_ = false;
    Sampler sampler_{{}};
    std::int32_t next_ = 0;
    std::optional<KvSequence> bare_;  // while the baseline is measured: the reading, the separator behind it
    std::vector<std::int32_t> separator_;
    std::size_t questionFirst_ = 0;  // position of this question's first token
    std::vector<float> mass_;        // [leaves], of the question's and the answer's tokens, as sources.h wants it
    AnswerText words_{model_.prompt().thinks(), model_.tokenizer().putsSpace()};
    std::string fresh_;
    Answer answer_;
    std::chrono::steady_clock::time_point started_, answering_;
};

}  // namespace carrel
