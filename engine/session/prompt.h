#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"
#include "tokenizer/tokenizer.h"

namespace carrel {

/// Changes whenever the tokens before or after a document change: part of a reading's key.
inline constexpr int kPromptVersion = 1;

struct PromptFamily;

/// How a model wants a conversation written. Everything a person can change comes after the document, so that its KV
/// can be kept:
///   opening() document | separator() question(q) answer(a) next() question(q) answer(a) …
/// Models that think before they answer are asked not to: the answer begins behind an empty thought.
class Prompt {
  public:
    /// The file's own template, matched to a known family by what is written in it; where it is unknown, missing, or
    /// needs tokens that the vocabulary lacks, a plain format: family() says so.
    static Prompt of(const GgufFile& file, const Tokenizer& tokenizer);

    std::string_view family() const;  // "chatml", "llama3" …; "plain": none was recognised
    bool thinks() const { return thinks_; }
    std::vector<std::int32_t> opening() const;
    std::vector<std::int32_t> separator() const;
    std::vector<std::int32_t> question(std::string_view text) const;  // up to where the answer begins
    std::vector<std::int32_t> answer(std::string_view text) const;    // of an earlier turn, as its text was shown
    std::vector<std::int32_t> next() const;                           // closes an answer, opens the next question

  private:
    Prompt(const Tokenizer& tokenizer, const PromptFamily& family) : tokenizer_(&tokenizer), family_(&family) {}
    void words(std::vector<std::int32_t>& ids, std::string_view text, TextStart start) const;  // plain text
    void control(std::vector<std::int32_t>& ids, std::string text, TextStart start) const;     // with special tokens
    TextStart questionStart() const;
    const Tokenizer* tokenizer_;
    const PromptFamily* family_;
    bool thinks_ = false;
    std::string thought_;  // empty, and closed: stands before an answer
};

}  // namespace carrel
