#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>

#include "models/tiny_model.h"
#include "session/answer_text.h"
#include "session/prompt.h"
#include "session/prompt_family.h"

using namespace carrel;

namespace {

struct Written {
    std::string family, text;
    bool thinks = false;
    std::size_t controls = 0;
};

/// A conversation of two questions about the document DOC, as the model is given it.
Written conversation(TinyModelSpec spec) {
    std::string folder = (std::filesystem::temp_directory_path() / "carrel-prompt-XXXXXX").string();
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    const auto path = std::filesystem::path(folder) / "tiny.gguf";
    spec.layers = spec.heads = spec.kvHeads = 1;
    spec.headDim = spec.ffn = 32;
    REQUIRE(writeTinyModel(path, spec));
    const auto file = GgufFile::open(path);
    std::filesystem::remove_all(folder);
    REQUIRE(file);
    const auto tokenizer = Tokenizer::load(*file);
    REQUIRE(tokenizer);
    const Prompt prompt = Prompt::of(*file, *tokenizer);
    std::vector<std::int32_t> ids;
    const auto append = [&](const std::vector<std::int32_t>& more) { ids.insert(ids.end(), more.begin(), more.end()); };
    append(prompt.opening());
    const auto document = tokenizer->encode("DOC", TextStart::AfterText);
    REQUIRE(document);
    for (const TextToken token : *document) ids.push_back(token.id);
    append(prompt.separator());
    append(prompt.question("Q1"));
    append(prompt.answer("A1"));
    append(prompt.next());
    append(prompt.question("Q2"));
    Written out{std::string(prompt.family()), {}, prompt.thinks()};
    for (const std::int32_t id : ids) {
        out.text += tokenizer->bytes(id);
        out.controls += tokenizer->isSpecial(id) && tokenizer->bytes(id).size() > 2;
    }
    return out;
}

constexpr char kS[] = "You answer questions about the document that the user gives, from what it says.";
const std::string kQ1 = "DOC\n\n---\n\nQ1\nAnswer briefly.", kQ2 = "Q2\nAnswer briefly.", kSystem = kS;

TinyModelSpec pieces(std::string chatTemplate, std::vector<std::string> controls = {}) {
    return {.sentencePiece = true,
            .spacePrefix = true,
            .controls = std::move(controls),
            .chatTemplate = std::move(chatTemplate)};
}
TinyModelSpec bytes(std::string chatTemplate, std::vector<std::string> controls = {}) {
    return {.controls = std::move(controls), .chatTemplate = std::move(chatTemplate)};
}

}  // namespace

TEST_CASE("ChatML is written as ever, and readings of it stay valid") {
    const auto got = conversation({.architecture = "qwen2"});
    CHECK(got.family == "chatml");
    CHECK(got.text == "<|im_start|>system\n" + kSystem + "<|im_end|>\n<|im_start|>user\n" + kQ1 +
                          "<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\n" + kQ2 +
                          "<|im_end|>\n<|im_start|>assistant\n");
    CHECK(got.controls == 9);
    CHECK_FALSE(got.thinks);
}

TEST_CASE("a model that thinks answers behind an empty thought, closed as its template closes it") {
    const std::string start = "{{- '<|im_start|>assistant\\n' }}{%- if enable_thinking is false %}";
    const auto qwen3 = conversation(bytes(start + R"({{- '<think>\n\n</think>\n\n' }})", {"<think>", "</think>"}));
    CHECK(qwen3.family == "chatml");
    CHECK(qwen3.thinks);
    CHECK(qwen3.text.ends_with("<|im_start|>assistant\n<think>\n\n</think>\n\n"));
    CHECK(qwen3.text.find("<think>\n\n</think>\n\nA1<|im_end|>") != std::string::npos);
    const auto smollm3 = conversation(bytes(start + R"({{ "<think>\n\n</think>\n" }})"));
    CHECK(smollm3.text.ends_with("<|im_start|>assistant\n<think>\n\n</think>\n"));
    const auto qwq = conversation(bytes("{{- '<|im_start|>assistant\\n<think>\\n' }}"));
    CHECK(qwq.text.ends_with("<|im_start|>assistant\n<think>\n\n</think>\n\n"));
}

TEST_CASE("Llama 3, Phi-4, DeepSeek and DeepSeek Coder") {
    const std::string user = "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
                      assistant = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n";
    const auto llama3 =
        conversation(bytes("{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ "
                           "message['content'] | trim + '<|eot_id|>' %}",
                           {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}));
    CHECK(llama3.family == "llama3");
    CHECK(llama3.text == "<|start_header_id|>system<|end_header_id|>\n\n" + kSystem + user + kQ1 + assistant + "A1" +
                             user + kQ2 + assistant);
    const auto phi4 =
        conversation(bytes("{{'<|im_start|>user<|im_sep|>' + message['content'] + '<|im_end|>'}}", {"<|im_sep|>"}));
    CHECK(phi4.family == "phi4");
    CHECK(phi4.text == "<|im_start|>system<|im_sep|>" + kSystem + "<|im_end|><|im_start|>user<|im_sep|>" + kQ1 +
                           "<|im_end|><|im_start|>assistant<|im_sep|>A1<|im_end|><|im_start|>user<|im_sep|>" + kQ2 +
                           "<|im_end|><|im_start|>assistant<|im_sep|>");
    const auto r1 =
        conversation(bytes("{{'<｜User｜>' + message['content']}}{{'<｜Assistant｜><think>\\n'}}<｜end▁of▁sentence｜>",
                           {"<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"}));
    CHECK(r1.family == "deepseek");
    CHECK(r1.text == kSystem + "<｜User｜>" + kQ1 +
                         "<｜Assistant｜><think>\n\n</think>\n\nA1<｜end▁of▁sentence｜><｜User｜>" + kQ2 +
                         "<｜Assistant｜><think>\n\n</think>\n\n");
    const auto coder =
        conversation(bytes("{{'### Instruction:\\n' + message['content'] + '\\n'}}{{'\\n<|EOT|>\\n'}}", {"<|EOT|>"}));
    CHECK(coder.family == "deepseek-coder");
    CHECK(coder.text == kSystem + "\n### Instruction:\n" + kQ1 + "\n### Response:\nA1\n<|EOT|>\n### Instruction:\n" +
                            kQ2 + "\n### Response:\n");
}

// Where the vocabulary puts a space before words that follow a control token, it is there once.
TEST_CASE("Llama 2 and the Mistrals with pieces") {
    const auto llama2 = conversation(
        pieces("{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
               "'<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n'"));
    CHECK(llama2.family == "llama2");
    CHECK(llama2.text == "<bos> [INST] <<SYS>>\n" + kSystem + "\n<</SYS>>\n\n" + kQ1.substr(0, kQ1.find("Q1")) +
                             " Q1\nAnswer briefly." + " [/INST] A1 <eos><bos> [INST] " + kQ2 + " [/INST]");
    const std::string q1 = kQ1.substr(0, kQ1.find("Q1")) + " Q1\nAnswer briefly.";
    const auto v0 =
        conversation(pieces("{{ '[INST] ' + message['content'] + ' [/INST]' }}{{ message['content'] + eos_token}}"));
    CHECK(v0.family == "mistral");
    CHECK(v0.text == "<bos> [INST] " + kSystem + "\n\n" + q1 + " [/INST] A1<eos> [INST] " + kQ2 + " [/INST]");
    const auto v1 =
        conversation(pieces("{{ ' [INST] ' + system_message + '\\n\\n' + message['content'] + ' [/INST]' }}"));
    CHECK(v1.family == "mistral-v1");
    CHECK(v1.text == v0.text);  // the vocabulary's space is the template's
    const std::string tools = "{{- \"[AVAILABLE_TOOLS] [\" }}";
    const auto v3 =
        conversation(pieces(tools + "{{- \"[INST] \" + message[\"content\"] + \"[/INST]\" }}", {"[INST]", "[/INST]"}));
    CHECK(v3.family == "mistral-v3");
    CHECK(v3.text == "<bos>[INST] " + kSystem + "\n\n" + q1 + "[/INST] A1<eos>[INST] " + kQ2 + "[/INST]");
    const auto v7 =
        conversation(pieces("{{ '[SYSTEM_PROMPT] ' + message['content'] + '[/SYSTEM_PROMPT]' }}{{ '[INST] ' }}",
                            {"[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"}));
    CHECK(v7.family == "mistral-v7");
    CHECK(v7.text == "<bos>[SYSTEM_PROMPT] " + kSystem + "[/SYSTEM_PROMPT][INST]" + q1 + "[/INST] A1<eos>[INST] " +
                         kQ2 + "[/INST]");
}

TEST_CASE("Mistral with Tekken has no spaces") {
    const std::vector<std::string> controls{"[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"};
    const auto v3 = conversation(
        bytes("{{- \"[AVAILABLE_TOOLS][\" }}{{- \"[INST]\" + message[\"content\"] + \"[/INST]\" }}", controls));
    CHECK(v3.family == "mistral-v3-tekken");
    CHECK(v3.text == "[INST]" + kSystem + "\n\n" + kQ1 + "[/INST]A1<|im_end|>[INST]" + kQ2 + "[/INST]");
    const auto v7 =
        conversation(bytes("{{- '[SYSTEM_PROMPT]' + system_message + '[/SYSTEM_PROMPT]' }}{{- '[INST]' }}", controls));
    CHECK(v7.family == "mistral-v7-tekken");
    CHECK(v7.text ==
          "[SYSTEM_PROMPT]" + kSystem + "[/SYSTEM_PROMPT][INST]" + kQ1 + "[/INST]A1<|im_end|>[INST]" + kQ2 + "[/INST]");
}

TEST_CASE("Gemma has no system: its sentence begins the user's turn") {
    const auto got = conversation({.sentencePiece = true});
    CHECK(got.family == "gemma");
    CHECK(got.text == "<bos><start_of_turn>user\n" + kSystem + "\n\n" + kQ1 +
                          "<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n<start_of_turn>user\n" + kQ2 +
                          "<end_of_turn>\n<start_of_turn>model\n");
    CHECK(got.controls == 8);
}

TEST_CASE("Zephyr, Falcon 3, Phi-3, OpenChat and Vicuna") {
    const auto zephyr =
        conversation(bytes("{{ '<|user|>\\n' + message['content'] + eos_token }}{{ '<|assistant|>' }}"));
    CHECK(zephyr.family == "zephyr");
    CHECK(zephyr.text == "<|system|>\n" + kSystem + "<|im_end|>\n<|user|>\n" + kQ1 +
                             "<|im_end|>\n<|assistant|>\nA1<|im_end|>\n<|user|>\n" + kQ2 +
                             "<|im_end|>\n<|assistant|>\n");
    const auto falcon = conversation(
        bytes("{{ '<|user|>\\n' + message['content'] + '\\n' }}{% elif message['role'] == 'assistant' %}{{ "
              "'<|assistant|>\\n' + message['content'] + eos_token + '\\n' }}"));
    CHECK(falcon.family == "falcon3");
    CHECK(falcon.text == "<|system|>\n" + kSystem + "\n<|user|>\n" + kQ1 + "\n<|assistant|>\nA1<|im_end|>\n<|user|>\n" +
                             kQ2 + "\n<|assistant|>\n");
    const auto phi3 = conversation(
        bytes("{{'<|' + message['role'] + '|>' + '\\n' + message['content'] + '<|end|>\\n' }}{{ '<|assistant|>\\n' }}",
              {"<|system|>", "<|user|>", "<|assistant|>", "<|end|>"}));
    CHECK(phi3.family == "phi3");
    CHECK(phi3.text == "<|system|>\n" + kSystem + "<|end|>\n<|user|>\n" + kQ1 +
                           "<|end|>\n<|assistant|>\nA1<|end|>\n<|user|>\n" + kQ2 + "<|end|>\n<|assistant|>\n");
    const auto openchat = conversation(
        bytes("{{ 'GPT4 Correct ' + message['role'].title() + ': ' + message['content'] + '<|end_of_turn|>'}}",
              {"<|end_of_turn|>"}));
    CHECK(openchat.family == "openchat");
    CHECK(openchat.text == kSystem + "<|end_of_turn|>GPT4 Correct User: " + kQ1 +
                               "<|end_of_turn|>GPT4 Correct Assistant:A1"
                               "<|end_of_turn|>GPT4 Correct User: " +
                               kQ2 + "<|end_of_turn|>GPT4 Correct Assistant:");
    const auto vicuna = conversation(
        bytes("{{-'USER: ' + message['content'] + '\\n'-}}{{-'ASSISTANT: ' + message['content'] + '</s>\\n' -}}"));
    CHECK(vicuna.family == "vicuna");
    CHECK(vicuna.text == kSystem + "\n\nUSER: " + kQ1 + "\nASSISTANT:A1<|im_end|>\nUSER: " + kQ2 + "\nASSISTANT:");
}

TEST_CASE("what is unknown, or lacks its tokens, is asked in a plain format that says so") {
    const std::string plain =
        kSystem + "\n\nDocument:\nDOC\n\n---\n\nQuestion: Q1\nAnswer briefly.\nAnswer:A1\n\nQuestion: " + kQ2 +
        "\nAnswer:";
    for (const char* chatTemplate :
         {"{{ messages }}", "<|start_header_id|>user<|end_header_id|>", "<start_of_turn>", "[gMASK]<sop><|user|>"}) {
        CAPTURE(chatTemplate);
        const auto got = conversation(bytes(chatTemplate));
        CHECK(got.family == "plain");
        CHECK(got.text == plain);
    }
    CHECK(promptFamilyOf("").name == "plain");
    CHECK(promptFamilyOf("<|im_start|>User: <end_of_utterance>").name == "plain");
}

TEST_CASE("thoughts and the vocabulary's first space are no part of the answer that is shown") {
    const auto shown = [](std::string_view text, std::size_t step, bool thinks, bool putsSpace) {
        AnswerText answer(thinks, putsSpace);
        std::string out;
        for (std::size_t at = 0; at < text.size(); at += step) out += answer.add(text.substr(at, step));
        return out + answer.finish();
    };
    for (const std::size_t step : {1, 3, 100}) {
        CAPTURE(step);
        CHECK(shown("<think>\nWell.\n</think>\n\nYes.", step, true, false) == "Yes.");
        CHECK(shown("\n<think></think> Yes <think>", step, true, true) == "Yes <think>");
        CHECK(shown("Yes, <think>a</think>b", step, true, false) == "Yes, <think>a</think>b");
        CHECK(shown("<thin", step, true, false) == "<thin");
        CHECK(shown("<think>never ends</thin", step, true, false).empty());
        CHECK(shown("<think>a</think>b", step, false, false) == "<think>a</think>b");
        CHECK(shown("  Yes", step, false, true) == " Yes");
        CHECK(shown(" Yes", step, true, true) == "Yes");
        CHECK(shown(" Yes", step, false, false) == " Yes");
        CHECK(shown("\xf0\x9f\x99\x82", step, true, true) == "\xf0\x9f\x99\x82");
    }
    AnswerText answer(true, false);
    answer.add("<think>a");
    CHECK(answer.thinking());
    answer.add("</think>\n");
    CHECK(answer.thinking());
    CHECK(answer.add("b") == "b");
    CHECK_FALSE(answer.thinking());
}
