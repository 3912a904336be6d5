#include "session/answer_text.h"

#include <algorithm>
#include <utility>

namespace carrel {

namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>", kBlank = " \t\r\n";

}  // namespace

std::string AnswerText::show(std::string text) {
    held_ += text;
    if (state_ == Start) {
        const auto first = held_.find_first_not_of(kBlank);
        const std::string_view word = first == held_.npos ? std::string_view() : std::string_view(held_).substr(first);
        if (word.starts_with(kOpen))
            state_ = Thought;
        else if (!kOpen.starts_with(word))
            state_ = space_ ? Space : Shown;
    }
    if (state_ == Thought) {
        const auto end = held_.find(kClose);
        if (end != held_.npos) {
            held_.erase(0, end + kClose.size());
            state_ = Gap;
        } else {
            held_.erase(0, held_.size() - std::min(held_.size(), kClose.size() - 1));
        }
    }
    if (state_ == Gap) {
        held_.erase(0, std::min(held_.find_first_not_of(kBlank), held_.size()));
        if (!held_.empty()) state_ = Shown;
    }
    if (state_ == Space && !held_.empty()) {
        if (held_[0] == ' ') held_.erase(0, 1);
        state_ = Shown;
    }
    return state_ == Shown ? std::exchange(held_, {}) : std::string();
}

std::string AnswerText::add(std::string_view bytes) {
    return show(words_.add(bytes));
}

std::string AnswerText::finish() {
    std::string out = show(words_.finish());
    if (state_ == Start) out += std::exchange(held_, {});  // it became no thought
    return out;
}

}  // namespace carrel
