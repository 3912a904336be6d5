#include <doctest/doctest.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/tiny_model.h"
#include "tokenizer/tokenizer.h"

using namespace carrel;

namespace {

Tokenizer tinyTokenizer(TinyModelSpec spec) {
    spec.layers = spec.kvHeads = 1;
    spec.heads = 2;
    spec.headDim = 32;
    spec.ffn = 64;
    std::string folder = (std::filesystem::temp_directory_path() / "carrel-tokenizer-XXXXXX").string();
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    const auto path = std::filesystem::path(folder) / "tiny.gguf";
    REQUIRE(writeTinyModel(path, spec));
    const auto file = GgufFile::open(path);
    std::filesystem::remove_all(folder);
    REQUIRE(file);
    auto tokenizer = Tokenizer::load(*file);
    REQUIRE(tokenizer);
    return *std::move(tokenizer);
}

Tokenizer tinyTokenizer(const std::string& architecture) {
    return tinyTokenizer(TinyModelSpec{.architecture = architecture});
}

/// One of every kind of vocabulary that a tiny model can have.
std::vector<Tokenizer> tinyTokenizers() {
    std::vector<Tokenizer> all;
    all.push_back(tinyTokenizer("llama"));
    all.push_back(tinyTokenizer("qwen2"));
    all.push_back(tinyTokenizer(TinyModelSpec{.sentencePiece = true}));
    return all;
}

std::string decoded(const Tokenizer& tokenizer, const std::vector<TextToken>& tokens) {
    std::string out;
    for (const TextToken token : tokens) out += tokenizer.bytes(token.id);
    return out;
}

std::vector<TextToken> encoded(const Tokenizer& tokenizer, std::string_view text) {
    auto tokens = tokenizer.encode(text);
    REQUIRE(tokens);
    std::uint32_t at = 0;
    for (const TextToken token : *tokens) {
        CHECK(token.first == at);
        at += token.count;
    }
    CHECK(at == text.size());
    return *std::move(tokens);
}

const std::vector<std::string> kTexts{"",
                                      "a",
                                      "the page and the pages",
                                      "  two  spaces \n\n\n tabs\t\t",
                                      "line\r\nline\r\n",
                                      "don't WE'LL",
                                      "3.14159 2026",
                                      "Zażółć naïve e\u0301",
                                      "日本語 한국어 हिन्दी",
                                      "👩‍👩‍👧🇩🇪 ok",
                                      "\x01\x02\x7f",
                                      std::string("nul\0inside", 10),
                                      "\u180e\u00a0\u2028\u0085x",
                                      "<|im_start|>user<|im_end|>"};

}  // namespace

TEST_CASE("tokens decode to the text, and spans cover it without gap") {
    for (const Tokenizer& tokenizer : tinyTokenizers()) {
        for (const auto& text : kTexts) {
            CAPTURE(text);
            const auto tokens = encoded(tokenizer, text);
            CHECK(decoded(tokenizer, tokens) == text);
            for (const TextToken token : tokens)
                CHECK(text.substr(token.first, token.count) == tokenizer.bytes(token.id));
        }
    }
    const Tokenizer prefixed = tinyTokenizer(TinyModelSpec{.sentencePiece = true, .spacePrefix = true});
    for (const auto& text : kTexts) {
        CAPTURE(text);
        for (const TextToken token : encoded(prefixed, text)) {
            std::string_view bytes = prefixed.bytes(token.id);
            if (bytes.size() > token.count) bytes.remove_prefix(1);  // the space before a text has no byte of it
            CHECK(text.substr(token.first, token.count) == bytes);
        }
    }
}

TEST_CASE("text never becomes a control token, a prompt does") {
    const Tokenizer tokenizer = tinyTokenizer("qwen2");
    const auto start = tokenizer.special("<|im_start|>"), end = tokenizer.special("<|im_end|>");
    REQUIRE(start);
    REQUIRE(end);
    const std::string text = "<|im_start|>a<|im_end|><|im_end|>";
    for (const TextToken token : encoded(tokenizer, text)) CHECK_FALSE(tokenizer.isSpecial(token.id));
    const auto prompt = tokenizer.encodeWithSpecials(text);
    REQUIRE(prompt);
    CHECK(*prompt == std::vector<std::int32_t>{*start, encoded(tokenizer, "a")[0].id, *end, *end});
    CHECK(tokenizer.endsTurn(*end));
    CHECK(tokenizer.endsTurn(*tokenizer.special("<|endoftext|>")));
    CHECK_FALSE(tokenizer.endsTurn(*start));
    CHECK(tokenizer.eos() == end);
    CHECK_FALSE(tokenizer.addsBos());
    CHECK_FALSE(tokenizer.special("<|nothing|>"));
    CHECK(tokenizer.bytes(-1).empty());
    CHECK(tokenizer.bytes(static_cast<std::int32_t>(tokenizer.vocabularySize())).empty());
}

TEST_CASE("a SentencePiece text never becomes a control or byte token by name, a prompt does") {
    const Tokenizer tokenizer = tinyTokenizer(TinyModelSpec{.sentencePiece = true, .spacePrefix = true});
    const auto start = tokenizer.special("<start_of_turn>");
    REQUIRE(start);
    const std::string text = "<start_of_turn><eos><unk><0x0A>x";
    const auto tokens = encoded(tokenizer, text);
    CHECK(decoded(tokenizer, tokens) == ' ' + text);
    for (const TextToken token : tokens) CHECK_FALSE(tokenizer.isSpecial(token.id));
    const auto prompt = tokenizer.encodeWithSpecials("<start_of_turn>of");
    REQUIRE(prompt);
    REQUIRE(prompt->size() == 2);
    CHECK(prompt->front() == *start);
    CHECK(tokenizer.bytes(prompt->back()) == " of");
    CHECK(tokenizer.endsTurn(*tokenizer.special("<end_of_turn>")));
    CHECK(tokenizer.addsBos());
    CHECK(tokenizer.bos() == tokenizer.special("<bos>"));
}

TEST_CASE("a space is put before a text and after a control token, and not where text goes on") {
    const Tokenizer tokenizer = tinyTokenizer(TinyModelSpec{.sentencePiece = true, .spacePrefix = true});
    const auto joined = [&](const std::vector<std::int32_t>& ids) {
        std::string out;
        for (const auto id : ids) out += tokenizer.bytes(id);
        return out;
    };
    const auto words = [&](std::string_view text, TextStart start) {
        std::string out;
        const auto tokens = tokenizer.encode(text, start);
        REQUIRE(tokens);
        return decoded(tokenizer, *tokens);
    };
    CHECK(words("page", TextStart::Nothing) == " page");
    CHECK(words("page", TextStart::AfterText) == "page");
    CHECK(words("\npage", TextStart::Nothing) == " \npage");
    CHECK(words("", TextStart::Nothing).empty());
    CHECK(joined(*tokenizer.encodeWithSpecials("a<eos>b")) == " a<eos> b");
    CHECK(joined(*tokenizer.encodeWithSpecials("a<eos>b", TextStart::AfterText)) == "a<eos> b");
}

TEST_CASE("bytes that are no UTF-8 read as U+FFFD, one for one, and keep their spans") {
    const Tokenizer tokenizer = tinyTokenizer("llama");
    for (const std::string text : {"\xff", "a\xc3", "\xe4\xbd", "x\x80\x80y", "\xed\xa0\x80", "\xf5 \xc0\xaf",
                                   "ok \xf0\x9f\x99 \xf0\x9f\x99\x82"}) {
        CAPTURE(text);
        const auto tokens = encoded(tokenizer, text);
        CHECK(decoded(tokenizer, tokens).find("\xef\xbf\xbd") != std::string::npos);
    }
    CHECK(decoded(tokenizer, encoded(tokenizer,
                                     "a\xff"
                                     "b")) ==
          "a\xef\xbf\xbd"
          "b");
}

TEST_CASE("words of a million characters are words like any other") {
    for (const Tokenizer& tokenizer : tinyTokenizers())
        for (const std::string unit : {"a", " ", "\n", "!", "7", "the", "\xe6\x97\xa5", "\xff"}) {
            CAPTURE(unit);
            std::string text;
            while (text.size() < 1000000) text += unit;
            encoded(tokenizer, text);
        }
}

TEST_CASE("whole characters leave the assembler as soon as they are complete") {
    Utf8Assembler assembler;
    CHECK(assembler.add("a\xf0\x9f") == "a");
    CHECK(assembler.add("\x99").empty());
    CHECK(assembler.add("\x82"
                        "b") ==
          "\xf0\x9f\x99\x82"
          "b");
    CHECK(assembler.add("\xff"
                        "c") ==
          "\xef\xbf\xbd"
          "c");
    CHECK(assembler.add("\xe6\x97").empty());
    CHECK(assembler.add("d") ==
          "\xef\xbf\xbd\xef\xbf\xbd"
          "d");
    CHECK(assembler.add("\xc3").empty());
    CHECK(assembler.finish() == "\xef\xbf\xbd");
    CHECK(assembler.finish().empty());
}

TEST_CASE("ids are those of the recorded reference, for every text") {
    const char* data = std::getenv("XDG_DATA_HOME");
    const char* home = std::getenv("HOME");
    const std::filesystem::path models =
        (data && *data ? std::filesystem::path(data) : std::filesystem::path(home ? home : "") / ".local/share") /
        "carrel/models";
    for (const auto& [name, model] :
         {std::pair{"qwen", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"},
          std::pair{"smol", "smollm2-135m-instruct-q4_1.gguf"}, std::pair{"gemma", "gemma-3-270m-q4_k_m.gguf"}}) {
        const auto reference =
            std::filesystem::path(CARREL_SHARED) / "data/reference" / (std::string(name) + ".tokens.json");
        if (!std::filesystem::exists(reference) || !std::filesystem::exists(models / model)) {
            MESSAGE("SKIPPED for ", name, ": needs ", reference.string(), " and ", (models / model).string());
            continue;
        }
        const auto file = GgufFile::open(models / model);
        REQUIRE(file);
        const auto tokenizer = Tokenizer::load(*file);
        REQUIRE(tokenizer);
        std::ifstream in(reference);
        for (const auto& entry : nlohmann::json::parse(in)) {
            const auto text = entry["text"].get<std::string>();
            CAPTURE(text);
            std::vector<std::int32_t> ids;
            for (const TextToken token : encoded(*tokenizer, text)) ids.push_back(token.id);
            CHECK(ids == entry["ids"].get<std::vector<std::int32_t>>());
        }
    }
}
