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

/// How a model wants a conversation written. Everything a person can change comes after the document, so that its KV
/// can be kept:
///   opening() document | separator() question(q) answer next() question(q) answer …
class Prompt {
  public:
    /// The file's own template, matched to known families (ChatML). One that is unknown falls back to a plain format:
    /// family() says so.
    static Prompt of(const GgufFile& file, const Tokenizer& tokenizer);

    std::string_view family() const { return chatMl_ ? "chatml" : "plain"; }
    std::vector<std::int32_t> opening() const;
    std::vector<std::int32_t> separator() const;
    std::vector<std::int32_t> question(std::string_view text) const;  // up to where the answer begins
    std::vector<std::int32_t> next() const;                           // closes an answer, opens the next question

  private:
    Prompt(const Tokenizer& tokenizer, bool chatMl) : tokenizer_(&tokenizer), chatMl_(chatMl) {}
    void words(std::vector<std::int32_t>& ids, std::string_view text) const;    // plain text
    void control(std::vector<std::int32_t>& ids, std::string_view text) const;  // with special tokens
    const Tokenizer* tokenizer_;
    bool chatMl_;
};

}  // namespace carrel
