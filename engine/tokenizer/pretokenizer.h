#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
struct pcre2_real_jit_stack_8;

namespace carrel {

/// How a family of models cuts text into words before merging: its tokenizer's own regular expressions. Immutable; any
/// thread.
class PreTokenizer {
  public:
    /// Unsupported for a name (tokenizer.ggml.pre) that is not known.
    static Result<PreTokenizer> named(std::string_view name);

    bool wholeWordsFirst() const {
        return wholeWordsFirst_;
    }                                          // a word that is a token is taken whole, whatever the merges say
    bool addsBos() const { return addsBos_; }  // where the file does not say

  private:
    friend class Words;
    struct Free {
        void operator()(pcre2_real_code_8* code) const;
    };
    using Pattern = std::unique_ptr<pcre2_real_code_8, Free>;
    static Pattern compile(std::string pattern);

    std::vector<Pattern> stages_;  // each cuts what the one before left, matches and the text between them alike
    bool wholeWordsFirst_ = false, addsBos_ = false;
};

/// The words of one text, front to back, without gap. One thread; the text and the pre-tokenizer must outlive it.
class Words {
  public:
    /// The text must be valid UTF-8.
    Words(const PreTokenizer& pre, std::string_view text);
    ~Words();
    Words(const Words&) = delete;
    Words& operator=(const Words&) = delete;

    /// Empty at the end. NoMemory or Internal if the matcher gives up.
    Result<std::string_view> next();

  private:
    struct Found {
        std::size_t first = 0, bytes = 0;  // bytes 0: nothing found
    };
    Result<Found> match(const pcre2_real_code_8& pattern, std::string_view text);

    const PreTokenizer& pre_;
    std::string_view text_;
    std::size_t at_ = 0;
    std::vector<std::size_t> ends_;  // by stage: of the piece that at_ is in
    pcre2_real_match_data_8* data_;
    pcre2_real_match_context_8* context_;
    pcre2_real_jit_stack_8* stack_;
};

}  // namespace carrel
