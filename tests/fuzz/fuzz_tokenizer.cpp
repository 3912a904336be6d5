// Any bytes as a text: spans without gap, tokens that decode to it, and an assembler that gives out UTF-8 only.
#include <unistd.h>

#include <filesystem>
#include <span>
#include <string>

#include "fuzz/fuzz.h"
#include "models/tiny_model.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

using namespace carrel;

namespace {

Tokenizer tinyTokenizer(const char* architecture) {
    const auto path =
        std::filesystem::temp_directory_path() / ("carrel-fuzz-" + std::to_string(::getpid()) + architecture);
    promised(bool(writeTinyModel(
        path, {.architecture = architecture, .layers = 1, .heads = 1, .kvHeads = 1, .headDim = 32, .ffn = 32})));
    const auto file = GgufFile::open(path);
    std::filesystem::remove(path);
    promised(bool(file));
    auto tokenizer = Tokenizer::load(*file);
    promised(bool(tokenizer));
    return *std::move(tokenizer);
}

void encode(const Tokenizer& tokenizer, std::string_view text) {
    const auto tokens = tokenizer.encode(text);
    promised(bool(tokens));
    std::string decoded, assembled;
    Utf8Assembler assembler;
    std::uint32_t at = 0;
    for (const TextToken token : *tokens) {
        promised(token.first == at && !tokenizer.isSpecial(token.id));
        at += token.count;
        decoded += tokenizer.bytes(token.id);
        assembled += assembler.add(tokenizer.bytes(token.id));
    }
    promised(at == text.size());
    promised(decoded == repairUtf8(text).text);
    promised(assembled + assembler.finish() == decoded);
    promised(bool(tokenizer.encodeWithSpecials(text)));
    assembled.clear();
    for (const char c : text) assembled += assembler.add({&c, 1});
    assembled += assembler.finish();
    promised(assembled == decoded);
}

}  // namespace

std::vector<std::vector<std::byte>> fuzzSeeds() {
    std::vector<std::vector<std::byte>> seeds;
    for (const std::string text : {"The page and the pages, don't WE'LL 3.14\r\n\n   x\t<|im_start|>",
                                   "e\u0301 日本語 👩‍👩‍👧 \u180e\u00a0\u2028 \xff\xc3 z"}) {
        const auto bytes = std::as_bytes(std::span(text));
        seeds.emplace_back(bytes.begin(), bytes.end());
    }
    return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Tokenizer llama = tinyTokenizer("llama"), qwen2 = tinyTokenizer("qwen2");
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    encode(llama, text);
    encode(qwen2, text);
    return 0;
}
