#pragma once

#include <string>
#include <string_view>

#include "tokenizer/tokenizer.h"

namespace carrel {

/// An answer's tokens as the text that is shown: whole characters, without what stands before the answer proper. That
/// is the space that some vocabularies begin with, and a model's thoughts, <think>…</think> at the start.
class AnswerText {
  public:
    AnswerText() = default;
    AnswerText(bool thinks, bool putsSpace) : state_(thinks ? Start : putsSpace ? Space : Shown), space_(putsSpace) {}

    std::string add(std::string_view bytes);  // what can be shown now
    std::string finish();
    /// The last bytes added belong to a thought: no part of the answer.
    bool thinking() const { return state_ == Thought || state_ == Gap; }

  private:
    std::string show(std::string text);

    // Start: it may become a thought. Gap: between a thought and the answer. Space: the answer's first character.
    enum State { Start, Thought, Gap, Space, Shown };
    State state_ = Shown;
    bool space_ = false;
    std::string held_;  // not decided yet
    Utf8Assembler words_;
};

}  // namespace carrel
