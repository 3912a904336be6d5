#include "session/prompt.h"

namespace carrel {

namespace {

constexpr std::string_view kSystem = "You answer questions about the document that the user gives, from what it says.";
constexpr std::string_view kAsk = "\nAnswer briefly.";

}  // namespace

Prompt Prompt::of(const GgufFile& file, const Tokenizer& tokenizer) {
    const auto written = file.string("tokenizer.chat_template").value_or("");
    return {tokenizer, written.find("<|im_start|>") != std::string_view::npos && tokenizer.special("<|im_start|>") &&
                           tokenizer.special("<|im_end|>")};
}

void Prompt::words(std::vector<std::int32_t>& ids, std::string_view text) const {
    const auto tokens = tokenizer_->encode(text);
    if (!tokens) return;  // only a text of 4 GiB fails; the doors refuse such questions
    for (const TextToken& token : *tokens) ids.push_back(token.id);
}

void Prompt::control(std::vector<std::int32_t>& ids, std::string_view text) const {
    const auto more = tokenizer_->encodeWithSpecials(text);
    if (more) ids.insert(ids.end(), more->begin(), more->end());
}

std::vector<std::int32_t> Prompt::opening() const {
    std::vector<std::int32_t> ids;
    if (tokenizer_->addsBos() && tokenizer_->bos()) ids.push_back(*tokenizer_->bos());
    if (chatMl_)
        control(ids, "<|im_start|>system\n" + std::string(kSystem) + "<|im_end|>\n<|im_start|>user\n");
    else
        words(ids, std::string(kSystem) + "\n\nDocument:\n");
    return ids;
}

std::vector<std::int32_t> Prompt::separator() const {
    std::vector<std::int32_t> ids;
    words(ids, chatMl_ ? "\n\n---\n\n" : "\n\n---\n\nQuestion: ");
    return ids;
}

std::vector<std::int32_t> Prompt::question(std::string_view text) const {
    std::vector<std::int32_t> ids;
    words(ids, std::string(text) + std::string(kAsk));
    if (chatMl_)
        control(ids, "<|im_end|>\n<|im_start|>assistant\n");
    else
        words(ids, "\nAnswer:");
    return ids;
}

std::vector<std::int32_t> Prompt::next() const {
    std::vector<std::int32_t> ids;
    if (chatMl_)
        control(ids, "<|im_end|>\n<|im_start|>user\n");
    else
        words(ids, "\n\nQuestion: ");
    return ids;
}

}  // namespace carrel
