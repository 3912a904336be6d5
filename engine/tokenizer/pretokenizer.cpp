#include "tokenizer/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace carrel {

namespace {

#define CARREL_CONTRACTIONS "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define CARREL_UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define CARREL_LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define CARREL_SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"

constexpr char kDigit[] = R"(\p{N})";
constexpr char kGpt2[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr char kQwen2[] =
    CARREL_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" CARREL_SPACES;
constexpr char kQwen35[] =
    CARREL_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" CARREL_SPACES;
constexpr char kLlama3[] =
    CARREL_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" CARREL_SPACES;
constexpr char kTekken[] = R"([^\r\n\p{L}\p{N}]?)" CARREL_UPPER "*" CARREL_LOWER R"(+|[^\r\n\p{L}\p{N}]?)" CARREL_UPPER
                           "+" CARREL_LOWER R"(*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" CARREL_SPACES;

/// Patterns cut one after the other: what one matches, and what it leaves between, is cut by the next.
struct Family {
    std::vector<std::string_view> names;
    std::vector<const char*> stages;
    bool wholeWordsFirst = false, addsBos = false;
};

const std::vector<Family>& families() {
    static const std::vector<Family> all{
        {{"gpt-2", "phi-2", "mellum", "trillion", "exaone4"}, {kGpt2}},
        {{"smollm", "starcoder", "refact", "command-r", "minerva-7b"}, {kDigit, kGpt2}},
        {{"qwen2", "deepseek-r1-qwen", "kormo", "megrez", "stablelm2"}, {kQwen2}},
        {{"qwen35"}, {kQwen35}},
        {{"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "midm-2.0"}, {kLlama3}, true, true},
        {{"smaug-bpe"}, {kLlama3}},  // SmolLM3 names it
        {{"tekken"}, {kTekken}, true, true},
        {{"deepseek-coder"},
         {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)",
          kDigit}}};
    return all;
}

}  // namespace

void PreTokenizer::Free::operator()(pcre2_real_code_8* code) const {
    pcre2_code_free(code);
}

PreTokenizer::Pattern PreTokenizer::compile(std::string pattern) {
    // PCRE2 still counts U+180E as a space; Unicode, and so the tokenizers, have not since 6.3.
    for (const auto& [from, to] : {std::pair{R"(\s)", R"(\p{White_Space})"}, std::pair{R"(\S)", R"(\P{White_Space})"}})
        for (std::size_t at = 0; (at = pattern.find(from, at)) != std::string::npos;) pattern.replace(at, 2, to);
    int error = 0;
    PCRE2_SIZE offset = 0;
    Pattern code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                               &error, &offset, nullptr));
    if (code) pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where the system forbids it, pcre2_match interprets
    return code;
}

Result<PreTokenizer> PreTokenizer::named(std::string_view name) {
    const auto family = std::ranges::find_if(
        families(), [&](const Family& f) { return std::ranges::find(f.names, name) != f.names.end(); });
    if (family == families().end())
        return Error{Code::Unsupported, "tokenizer.ggml.pre", "pre-tokenizer " + std::string(name.substr(0, 64))};
    PreTokenizer out;
    for (const char* stage : family->stages) {
        out.stages_.push_back(compile(stage));
        if (!out.stages_.back()) return Error{Code::Internal, "tokenizer.ggml.pre", "the pattern does not compile"};
    }
    out.wholeWordsFirst_ = family->wholeWordsFirst;
    out.addsBos_ = family->addsBos;
    return out;
}

Words::Words(const PreTokenizer& pre, std::string_view text)
    : pre_(pre),
      text_(text),
      ends_(pre.stages_.size()),
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
    std::size_t end = text_.size();
    for (std::size_t stage = 0; stage < ends_.size(); end = ends_[stage++]) {
        if (at_ < ends_[stage]) continue;
        const auto found = match(*pre_.stages_[stage], text_.substr(at_, end - at_));
        if (!found) return found.error();
        ends_[stage] = found->bytes == 0 ? end : at_ + (found->first > 0 ? found->first : found->bytes);
    }
    const std::size_t first = std::exchange(at_, end);
    return text_.substr(first, end - first);
}

}  // namespace carrel
