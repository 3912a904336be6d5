#pragma once

#include <memory>
#include <vector>

#include "session/turn.h"

namespace carrel {

/// Turns on one reading that are answered together: questions one after the other, then a token of each in every pass,
/// so that weights are read once for all. What a turn says does not depend on its mates.
class TurnBatch {
  public:
    struct Member {
        TurnRequest request;
        std::unique_ptr<Turn> turn;
        double resumeS = 0;
        TurnStage stage = TurnStage::Opening;  // last reported
        Turn::QuestionTokens read{};           // last reported
        bool complete = false;
        std::size_t told = 0;  // bytes of the answer that need not be handed out again
        bool mended = false;   // it was begun anew, because KV had to be read again
        std::size_t handedOut = 0;
    };
    TurnBatch(const LoadedModel& model, Workspace& work, Reading& reading);

    Reading& reading() const { return reading_; }
    /// A prepared turn joins; between passes.
    void add(Member member);
    std::vector<Member>& members() { return members_; }
    bool betweenPasses() const { return !pass_; }
    /// One quantum. Sets `complete` of members whose answer is; the caller takes those out while betweenPasses().
    Status step();
    void dropPass() { pass_.reset(); }
    TierReport report() const;

  private:
    Status beginPass();
    Status endPass();

    const LoadedModel& model_;
    Workspace& work_;
    Reading& reading_;
    std::vector<Member> members_;
    std::vector<Turn*> inPass_;
    std::optional<Pass> pass_;
    ReadStats stats_;
    double decodeS_ = 0;
};

}  // namespace carrel
