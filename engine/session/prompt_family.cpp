#include "session/prompt_family.h"

namespace carrel {

namespace {

constexpr PromptFamily kPlain{"plain", "{system}\n\nDocument:\n", "\nAnswer:", "\n\nQuestion: "};
constexpr PromptFamily kChatMl{"chatml",
                               "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n",
                               "<|im_end|>\n<|im_start|>assistant\n",
                               "<|im_end|>\n<|im_start|>user\n",
                               {"<|im_start|>", "<|im_end|>"}};
constexpr PromptFamily kPhi4{"phi4",
                             "<|im_start|>system<|im_sep|>{system}<|im_end|><|im_start|>user<|im_sep|>",
                             "<|im_end|><|im_start|>assistant<|im_sep|>",
                             "<|im_end|><|im_start|>user<|im_sep|>",
                             {"<|im_start|>", "<|im_sep|>"}};
constexpr PromptFamily kLlama2{"llama2", "[INST] <<SYS>>\n{system}\n<</SYS>>\n\n", " [/INST]", " {eos}{bos}[INST] "};
constexpr PromptFamily kMistral{"mistral", "[INST] {system}\n\n", " [/INST]", "{eos}[INST] "};
constexpr PromptFamily kMistral1{"mistral-v1", " [INST] {system}\n\n", " [/INST]", "{eos} [INST] "};
constexpr PromptFamily kMistral3{"mistral-v3", "[INST] {system}\n\n", "[/INST]", "{eos}[INST] ", {"[INST]", "[/INST]"}};
constexpr PromptFamily kMistral3Tekken{
    "mistral-v3-tekken", "[INST]{system}\n\n", "[/INST]", "{eos}[INST]", {"[INST]", "[/INST]"}};
constexpr PromptFamily kMistral7{"mistral-v7",
                                 "[SYSTEM_PROMPT] {system}[/SYSTEM_PROMPT][INST] ",
                                 "[/INST]",
                                 "{eos}[INST] ",
                                 {"[SYSTEM_PROMPT]", "[INST]"}};
constexpr PromptFamily kMistral7Tekken{"mistral-v7-tekken",
                                       "[SYSTEM_PROMPT]{system}[/SYSTEM_PROMPT][INST]",
                                       "[/INST]",
                                       "{eos}[INST]",
                                       {"[SYSTEM_PROMPT]", "[INST]"}};
constexpr PromptFamily kLlama3{
    "llama3",
    "<|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
    "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
    {"<|start_header_id|>", "<|eot_id|>"}};
constexpr PromptFamily kPhi3{"phi3",
                             "<|system|>\n{system}<|end|>\n<|user|>\n",
                             "<|end|>\n<|assistant|>\n",
                             "<|end|>\n<|user|>\n",
                             {"<|end|>", "<|assistant|>"}};
constexpr PromptFamily kZephyr{"zephyr", "<|system|>\n{system}{eos}\n<|user|>\n", "{eos}\n<|assistant|>\n",
                               "{eos}\n<|user|>\n"};
constexpr PromptFamily kFalcon3{"falcon3", "<|system|>\n{system}\n<|user|>\n", "\n<|assistant|>\n",
                                "{eos}\n<|user|>\n"};
// Gemma knows no system: its sentence begins the first question.
constexpr PromptFamily kGemma{"gemma",
                              "<start_of_turn>user\n{system}\n\n",
                              "<end_of_turn>\n<start_of_turn>model\n",
                              "<end_of_turn>\n<start_of_turn>user\n",
                              {"<start_of_turn>", "<end_of_turn>"}};
constexpr PromptFamily kOpenChat{"openchat",
                                 "{system}<|end_of_turn|>GPT4 Correct User: ",
                                 "<|end_of_turn|>GPT4 Correct Assistant:",
                                 "<|end_of_turn|>GPT4 Correct User: ",
                                 {"<|end_of_turn|>", "<|end_of_turn|>"}};
constexpr PromptFamily kVicuna{"vicuna", "{system}\n\nUSER: ", "\nASSISTANT:", "{eos}\nUSER: "};
constexpr PromptFamily kDeepSeekCoder{"deepseek-coder",
                                      "{system}\n### Instruction:\n",
                                      "\n### Response:\n",
                                      "\n<|EOT|>\n### Instruction:\n",
                                      {"<|EOT|>", "<|EOT|>"}};
constexpr PromptFamily kDeepSeek{"deepseek",
                                 "{system}<｜User｜>",
                                 "<｜Assistant｜>",
                                 "<｜end▁of▁sentence｜><｜User｜>",
                                 {"<｜User｜>", "<｜Assistant｜>"}};

class Written {
  public:
    explicit Written(std::string_view text) : text_(text) {}
    template <typename... Words>
    bool has(Words... words) const {
        return ((text_.find(words) != std::string_view::npos) && ...);
    }
    /// Soon behind the first `word`.
    Written behind(std::string_view word) const { return Written(text_.substr(text_.find(word), 64)); }

  private:
    std::string_view text_;
};

const PromptFamily& mistralOf(const Written& written) {
    if (written.has("[SYSTEM_PROMPT]")) return written.has("[SYSTEM_PROMPT] ") ? kMistral7 : kMistral7Tekken;
    if (written.has("<<SYS>>")) return kLlama2;
    if (written.has(" [INST]")) return kMistral1;
    if (!written.has("[AVAILABLE_TOOLS]")) return kMistral;
    return written.has("\"[INST]\"") ? kMistral3Tekken : kMistral3;
}

}  // namespace

const PromptFamily& plainPrompt() {
    return kPlain;
}

const PromptFamily& promptFamilyOf(std::string_view chatTemplate) {
    const Written written(chatTemplate);
    if (written.has("<|im_start|>")) {
        if (written.has("<end_of_utterance>")) return kPlain;  // SmolVLM only begins with it
        return written.has("<|im_sep|>") ? kPhi4 : kChatMl;
    }
    if (written.has("[INST]")) return mistralOf(written);
    if (written.has("[gMASK]")) return kPlain;  // ChatGLM
    if (written.has("<|assistant|>", "<|end|>")) return kPhi3;
    if (written.has("<|user|>")) {
        const Written user = written.behind("<|user|>");
        return user.has("eos_token") || user.has("</s>") || user.has("<|endoftext|>") ? kZephyr : kFalcon3;
    }
    if (written.has("<start_of_turn>")) return kGemma;
    if (written.has("GPT4 Correct ")) return kOpenChat;
    if (written.has("USER: ", "ASSISTANT: ")) return kVicuna;
    if (written.has("### Instruction:", "<|EOT|>")) return kDeepSeekCoder;
    if (written.has("<|start_header_id|>", "<|end_header_id|>")) return kLlama3;
    if (written.has("<｜User｜>", "<｜Assistant｜>")) return kDeepSeek;
    return kPlain;
}

}  // namespace carrel
