#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
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

Tokenizer tinyTokenizer(const std::string& architecture) {
    std::string folder = (std::filesystem::temp_directory_path() / "carrel-tokenizer-XXXXXX").string();
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    const auto path = std::filesystem::path(folder) / "tiny.gguf";
    REQUIRE(writeTinyModel(
        path, {.architecture = architecture, .layers = 1, .heads = 2, .kvHeads = 1, .headDim = 32, .ffn = 64}));
    const auto file = GgufFile::open(path);
    std::filesystem::remove_all(folder);
    REQUIRE(file);
    auto tokenizer = Tokenizer::load(*file);
    REQUIRE(tokenizer);
    return *std::move(tokenizer);
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
    for (const char* architecture : {"llama", "qwen2"}) {
        const Tokenizer tokenizer = tinyTokenizer(architecture);
        for (const auto& text : kTexts) {
            CAPTURE(text);
            const auto tokens = encoded(tokenizer, text);
            CHECK(decoded(tokenizer, tokens) == text);
            for (const TextToken token : tokens)
                CHECK(text.substr(token.first, token.count) == tokenizer.bytes(token.id));
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
    const Tokenizer tokenizer = tinyTokenizer("qwen2");
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
    for (const auto& [name, model] : {std::pair{"qwen", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"},
                                      std::pair{"smol", "smollm2-135m-instruct-q4_1.gguf"}}) {
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
