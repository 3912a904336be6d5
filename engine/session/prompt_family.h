#pragma once

#include <array>
#include <string_view>

namespace carrel {

/// One way of writing a conversation. {system}, {bos} and {eos} stand for the system sentence and the model's tokens.
struct PromptFamily {
    std::string_view name;
    std::string_view opening;                    // before the document
    std::string_view ask;                        // between question and answer
    std::string_view next;                       // between an answer and the next question
    std::array<std::string_view, 2> needs = {};  // tokens without which it means nothing
};

/// The family that a chat template (Jinja, as in tokenizer.chat_template) is of, by what is written in it, as
/// llama.cpp tells them apart; the plain one if by nothing. The strings are those that the families' official templates
/// come to.
const PromptFamily& promptFamilyOf(std::string_view chatTemplate);
const PromptFamily& plainPrompt();

}  // namespace carrel
