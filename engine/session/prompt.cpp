#include "session/prompt.h"

#include <initializer_list>

#include "session/prompt_family.h"

namespace carrel {

namespace {

constexpr std::string_view kSystem = "You answer questions about the document that the user gives, from what it says.";
constexpr std::string_view kAsk = "\nAnswer briefly.";

void replaceAll(std::string& text, std::string_view from, std::string_view to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
}

}  // namespace

Prompt Prompt::of(const GgufFile& file, const Tokenizer& tokenizer) {
    const auto written = file.string("tokenizer.chat_template").value_or("");
    const PromptFamily* family = &promptFamilyOf(written);
    for (const std::string_view token : family->needs)
        if (!token.empty() && !tokenizer.special(token)) family = &plainPrompt();
    Prompt prompt(tokenizer, *family);
    const auto has = [&](std::string_view words) { return written.find(words) != std::string_view::npos; };
    prompt.thinks_ = has("<think>") || has("</think>");
    // As the template itself closes a thought that it was asked to leave out; the line breaks differ.
    if (prompt.thinks_ && family != &plainPrompt())
        prompt.thought_ =
            has(R"(</think>\n)") && !has(R"(</think>\n\n)") ? "<think>\n\n</think>\n" : "<think>\n\n</think>\n\n";
    return prompt;
}

std::string_view Prompt::family() const {
    return family_->name;
}

void Prompt::words(std::vector<std::int32_t>& ids, std::string_view text, TextStart start) const {
    const auto tokens = tokenizer_->encode(text, start);
    if (!tokens) return;  // only a text of 4 GiB fails; the doors refuse such questions
    for (const TextToken& token : *tokens) ids.push_back(token.id);
}

void Prompt::control(std::vector<std::int32_t>& ids, std::string text, TextStart start) const {
    replaceAll(text, "{system}", kSystem);
    const std::string_view bos = tokenizer_->bytes(tokenizer_->bos().value_or(-1));
    const std::string_view eos = tokenizer_->bytes(tokenizer_->eos().value_or(-1));
    replaceAll(text, "{bos}", bos);
    replaceAll(text, "{eos}", eos);
    if (tokenizer_->putsSpace()) {  // the vocabulary's own space stands for the template's
        if (start == TextStart::Nothing && text.starts_with(' ')) text.erase(0, 1);
        for (const std::string_view token :
             std::initializer_list<std::string_view>{"[INST]", "[/INST]", "[SYSTEM_PROMPT]", bos, eos})
            if (tokenizer_->special(token)) replaceAll(text, std::string(token) + ' ', token);
    }
    const auto more = tokenizer_->encodeWithSpecials(text, start);
    if (more) ids.insert(ids.end(), more->begin(), more->end());
}

TextStart Prompt::questionStart() const {
    return tokenizer_->putsSpace() && family_->next.ends_with(' ') ? TextStart::Nothing : TextStart::AfterText;
}

std::vector<std::int32_t> Prompt::opening() const {
    std::vector<std::int32_t> ids;
    if (tokenizer_->addsBos() && tokenizer_->bos()) ids.push_back(*tokenizer_->bos());
    control(ids, std::string(family_->opening), TextStart::Nothing);
    return ids;
}

std::vector<std::int32_t> Prompt::separator() const {
    std::vector<std::int32_t> ids;
    words(ids, family_ == &plainPrompt() ? "\n\n---\n\nQuestion: " : "\n\n---\n\n", TextStart::AfterText);
    return ids;
}

std::vector<std::int32_t> Prompt::question(std::string_view text) const {
    std::vector<std::int32_t> ids;
    words(ids, std::string(text) + std::string(kAsk), questionStart());
    control(ids, std::string(family_->ask) + thought_, TextStart::AfterText);
    return ids;
}

std::vector<std::int32_t> Prompt::answer(std::string_view text) const {
    std::vector<std::int32_t> ids;
    words(ids, text, family_->ask.ends_with('\n') || !thought_.empty() ? TextStart::AfterText : TextStart::Nothing);
    return ids;
}

std::vector<std::int32_t> Prompt::next() const {
    std::vector<std::int32_t> ids;
    std::string text(family_->next);
    if (questionStart() == TextStart::Nothing) text.pop_back();  // the question brings its own
    control(ids, std::move(text), TextStart::AfterText);
    return ids;
}

}  // namespace carrel
