#include "tokenizer/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>
#include <string>
#include <utility>

namespace carrel {

namespace {

constexpr char kDigit[] = R"(\p{N})";
constexpr char kGpt2[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr char kQwen2[] = R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|)"
                          R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kLlama3[] = R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|)"
                           R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Family {
    std::string_view name;
    const char* isolate;
    const char* word;
    bool llama3;
};
constexpr std::array kFamilies{
    Family{"qwen2", nullptr, kQwen2, false},     Family{"deepseek-r1-qwen", nullptr, kQwen2, false},
    Family{"smollm", kDigit, kGpt2, false},      Family{"gpt-2", nullptr, kGpt2, false},
    Family{"llama-bpe", nullptr, kLlama3, true}, Family{"llama3", nullptr, kLlama3, true},
    Family{"llama-v3", nullptr, kLlama3, true},
};

}  // namespace

void PreTokenizer::Free::operator()(pcre2_real_code_8* code) const {
    pcre2_code_free(code);
}

PreTokenizer::Pattern PreTokenizer::compile(std::string pattern, bool anchored) {
    // PCRE2 still counts U+180E as a space; Unicode, and so the tokenizers, have not since 6.3.
    for (const auto& [from, to] : {std::pair{R"(\s)", R"(\p{White_Space})"}, std::pair{R"(\S)", R"(\P{White_Space})"}})
        for (std::size_t at = 0; (at = pattern.find(from, at)) != std::string::npos;) pattern.replace(at, 2, to);
    int error = 0;
    PCRE2_SIZE offset = 0;
    Pattern code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                               PCRE2_UTF | PCRE2_UCP | (anchored ? PCRE2_ANCHORED : 0), &error, &offset, nullptr));
    if (code) pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where the system forbids it, pcre2_match interprets
    return code;
}

Result<PreTokenizer> PreTokenizer::named(std::string_view name) {
    const auto family = std::ranges::find(kFamilies, name, &Family::name);
    if (family == kFamilies.end())
        return Error{Code::Unsupported, "tokenizer.ggml.pre", "pre-tokenizer " + std::string(name.substr(0, 64))};
    PreTokenizer out;
    if (family->isolate) out.isolate_ = compile(family->isolate, false);
    out.word_ = compile(family->word, true);
    if (!out.word_ || (family->isolate && !out.isolate_))
        return Error{Code::Internal, "tokenizer.ggml.pre", "the pattern does not compile"};
    out.wholeWordsFirst_ = out.addsBos_ = family->llama3;
    return out;
}

Words::Words(const PreTokenizer& pre, std::string_view text)
    : pre_(pre),
      text_(text),
      pieceEnd_(pre.isolate_ ? 0 : text.size()),
      data_(pcre2_match_data_create(1, nullptr)),
      context_(pcre2_match_context_create(nullptr)),
      stack_(pcre2_jit_stack_create(32 * 1024, 8 * 1024 * 1024, nullptr)) {
    if (!context_) return;
    // Words of any length are text like any other: no pattern here backtracks more than once over a word.
    pcre2_set_match_limit(context_, std::numeric_limits<std::uint32_t>::max());
    pcre2_set_depth_limit(context_, std::numeric_limits<std::uint32_t>::max());
    pcre2_jit_stack_assign(context_, nullptr, stack_);
}

Words::~Words() {
    pcre2_jit_stack_free(stack_);
    pcre2_match_context_free(context_);
    pcre2_match_data_free(data_);
}

Result<Words::Found> Words::match(const pcre2_real_code_8& pattern, std::string_view text) {
    if (!data_ || !context_) return Error{Code::NoMemory, "pre-tokenizer", "no memory to match with"};
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int got = pcre2_match(&pattern, subject, text.size(), 0, PCRE2_NO_UTF_CHECK, data_, context_);
    if (got == PCRE2_ERROR_JIT_STACKLIMIT)
        got = pcre2_match(&pattern, subject, text.size(), 0, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data_, context_);
    if (got == PCRE2_ERROR_NOMATCH) return Found{};
    if (got < 0)
        return Error{got == PCRE2_ERROR_NOMEMORY || got == PCRE2_ERROR_HEAPLIMIT ? Code::NoMemory : Code::Internal,
                     "pre-tokenizer", "PCRE2 error " + std::to_string(got)};
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data_);
    return Found{bounds[0], bounds[1] - bounds[0]};
}

Result<std::string_view> Words::next() {
    if (at_ == text_.size()) return std::string_view();
    const auto take = [&](std::size_t bytes) {
        at_ += bytes;
        return text_.substr(at_ - bytes, bytes);
    };
    if (at_ == pieceEnd_ && isolatedEnd_ > at_) return take(isolatedEnd_ - at_);
    if (at_ >= pieceEnd_) {
        const auto isolated = match(*pre_.isolate_, text_.substr(at_));
        if (!isolated) return isolated.error();
        pieceEnd_ = isolated->bytes == 0 ? text_.size() : at_ + isolated->first;
        isolatedEnd_ = pieceEnd_ + isolated->bytes;
        if (at_ == pieceEnd_) return take(isolated->bytes);
    }
    const auto word = match(*pre_.word_, text_.substr(at_, pieceEnd_ - at_));
    if (!word) return word.error();
    assert(word->bytes > 0);  // every pattern's alternatives cover every character
    return take(word->bytes > 0 ? word->bytes : pieceEnd_ - at_);
}

}  // namespace carrel
