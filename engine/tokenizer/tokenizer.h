#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/file.h"

namespace carrel {

/// One token of a text and the bytes it came from: text[first, first + count).
struct TextToken {
    std::int32_t id = 0;
    std::uint32_t first = 0, count = 0;
};

/// What stands before a text. Some vocabularies put a space before the first word of a text.
enum class TextStart { Nothing, AfterText };

/// Byte-level BPE as the GGUF describes it, with the pre-tokenizer that it names (tokenizer.ggml.pre), or the BPE of a
/// SentencePiece vocabulary. Immutable; any thread.
class Tokenizer {
  public:
    /// Unsupported names the tokenizer model or pre-tokenizer; Corrupt for a vocabulary that cannot be one. Nothing of
    /// the file is kept.
    static Result<Tokenizer> load(const GgufFile& file);
    Tokenizer(Tokenizer&&) noexcept;
    Tokenizer& operator=(Tokenizer&&) noexcept;
    ~Tokenizer();

    /// Text only: control tokens written out in it stay text (user-defined tokens, such as <tool_call>, are words of
    /// the vocabulary and become their ids, as in llama.cpp). Spans cover the text without gap, in order. A byte that
    /// is no valid UTF-8 is read as U+FFFD: where that takes several tokens, the last has the byte and the others have
    /// none. A byte that the vocabulary has no token for is left out and belongs to the span of the token before it
    /// (after it, at the start). The space before a text has no byte of it. InvalidArgument for 4 GiB and more.
    Result<std::vector<TextToken>> encode(std::string_view text, TextStart start = TextStart::Nothing) const;
    /// As encode, but special tokens written out in the text become their ids.
    Result<std::vector<std::int32_t>> encodeWithSpecials(std::string_view text,
                                                         TextStart start = TextStart::Nothing) const;

    /// The token's bytes; may be part of a UTF-8 character. Special tokens give their name. Empty for ids out of range.
    std::string_view bytes(std::int32_t id) const;
    bool isSpecial(std::int32_t id) const;                             // control, unknown and user-defined tokens
    std::optional<std::int32_t> special(std::string_view name) const;  // id of e.g. "<|im_end|>"

    std::optional<std::int32_t> bos() const, eos() const;
    bool addsBos() const;    // tokenizer.ggml.add_bos_token
    bool putsSpace() const;  // before the first word of a text, and behind special tokens
    /// Tokens that end a turn: eos, eot and what goes by their names.
    bool endsTurn(std::int32_t id) const;
    std::size_t vocabularySize() const;

  private:
    struct Impl;
    explicit Tokenizer(std::unique_ptr<const Impl> impl);
    std::unique_ptr<const Impl> impl_;
};

/// Collects the bytes of tokens and gives them out as whole UTF-8 characters.
class Utf8Assembler {
  public:
    std::string add(std::string_view bytes);  // what is complete now; invalid bytes become U+FFFD
    std::string finish();

  private:
    std::string pending_;
};

}  // namespace carrel
