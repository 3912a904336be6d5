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

Tokenizer tinyTokenizer(TinyModelSpec spec) {
    const auto path = std::filesystem::temp_directory_path() / ("carrel-fuzz-" + std::to_string(::getpid()));
    spec.layers = spec.heads = spec.kvHeads = 1;
    spec.headDim = spec.ffn = 32;
    promised(bool(writeTinyModel(path, spec)));
    const auto file = GgufFile::open(path);
    std::filesystem::remove(path);
    promised(bool(file));
    auto tokenizer = Tokenizer::load(*file);
    promised(bool(tokenizer));
    return *std::move(tokenizer);
}

/// What tokens decode to: SentencePiece has one space, however it is written.
std::string written(std::string text, bool sentencePiece) {
    for (std::size_t at = 0; sentencePiece && (at = text.find("\u2581", at)) != std::string::npos;)
        text.replace(at, 3, " ");
    return text;
}

void encode(const Tokenizer& tokenizer, std::string_view text, bool sentencePiece = false) {
    const auto tokens = tokenizer.encode(text);
    promised(bool(tokens));
    std::string decoded, assembled;
    Utf8Assembler assembler;
    std::uint32_t at = 0;
    for (const TextToken token : *tokens) {
        promised(token.first == at && (!tokenizer.isSpecial(token.id) || tokenizer.bytes(token.id)[0] != '<'));
        at += token.count;
        decoded += tokenizer.bytes(token.id);
        assembled += assembler.add(tokenizer.bytes(token.id));
    }
    promised(at == text.size());
    promised(decoded == written(repairUtf8(text).text, sentencePiece));
    promised(assembled + assembler.finish() == decoded);
    promised(bool(tokenizer.encodeWithSpecials(text)));
    assembled.clear();
    for (const char c : text) assembled += assembler.add({&c, 1});
    assembled += assembler.finish();
    promised(written(assembled, sentencePiece) == decoded);
}

}  // namespace

std::vector<std::vector<std::byte>> fuzzSeeds() {
    std::vector<std::vector<std::byte>> seeds;
    for (const std::string text : {"The page and the pages, don't WE'LL 3.14\r\n\n   x\t<|im_start|>",
                                   "e\u0301 日本語 👩‍👩‍👧 \u180e\u00a0\u2028 \xff\xc3 z",
                                   "the\u2581page   and <0x0A><eos>\n\n\n  \u2581\u2581 <start_of_turn>"}) {
        const auto bytes = std::as_bytes(std::span(text));
        seeds.emplace_back(bytes.begin(), bytes.end());
    }
    return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Tokenizer llama = tinyTokenizer({}), qwen2 = tinyTokenizer({.architecture = "qwen2"}),
                           pieces = tinyTokenizer({.sentencePiece = true}),
                           prefixed = tinyTokenizer({.sentencePiece = true, .spacePrefix = true});
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    encode(llama, text);
    encode(qwen2, text);
    encode(pieces, text, true);
    const auto tokens = prefixed.encode(text);  // spaces before its parts are no bytes of the text
    promised(bool(tokens));
    std::uint32_t at = 0;
    for (const TextToken token : *tokens) {
        promised(token.first == at);
        at += token.count;
    }
    promised(at == text.size());
    return 0;
}
