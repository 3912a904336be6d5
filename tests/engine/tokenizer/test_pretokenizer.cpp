#include <doctest/doctest.h>

#include "tokenizer/pretokenizer.h"

using namespace carrel;

namespace {

using Cut = std::vector<std::string>;

Cut wordsOf(const char* name, std::string_view text) {
    const auto pre = PreTokenizer::named(name);
    REQUIRE(pre);
    Words words(*pre, text);
    Cut out;
    while (true) {
        const auto word = words.next();
        REQUIRE(word);
        if (word->empty()) return out;
        out.emplace_back(*word);
    }
}

}  // namespace

TEST_CASE("each family cuts as its tokenizer does") {
    const std::string text = "I'M  don't x2026,\r\n  e\u0301t\u00e9";
    CHECK(wordsOf("gpt-2", text) ==
          Cut{"I", "'", "M", " ", " don", "'t", " x", "2026", ",", "\r\n ", " e", "\u0301", "t\u00e9"});
    CHECK(wordsOf("smollm", text) ==
          Cut{"I", "'", "M", " ", " don", "'t", " x", "2", "0", "2", "6", ",", "\r\n ", " e", "\u0301", "t\u00e9"});
    CHECK(wordsOf("qwen2", text) ==
          Cut{"I", "'M", " ", " don", "'t", " x", "2", "0", "2", "6", ",\r\n", " ", " e", "\u0301t\u00e9"});
    CHECK(wordsOf("qwen35", text) ==
          Cut{"I", "'M", " ", " don", "'t", " x", "2", "0", "2", "6", ",\r\n", " ", " e\u0301t\u00e9"});
    CHECK(wordsOf("llama-bpe", text) ==
          Cut{"I", "'M", " ", " don", "'t", " x", "202", "6", ",\r\n", " ", " e", "\u0301t\u00e9"});
    CHECK(wordsOf("smaug-bpe", text) == wordsOf("llama-bpe", text));
    CHECK(wordsOf("tekken", text) ==
          Cut{"I", "'M", " ", " don", "'t", " x", "2", "0", "2", "6", ",\r\n", " ", " e\u0301t\u00e9"});
    CHECK(wordsOf("deepseek-coder", text) == Cut{"I", "'", "M", " ", " don", "'", "t", " x", "2", "0", "2", "6", ",",
                                                 "\r", "\n", " ", " e", "\u0301", "t\u00e9"});
}

TEST_CASE("Tekken cuts where a capital follows, and slashes stay with what is before them") {
    CHECK(wordsOf("tekken", "HTTPServer camelCase a/b//\n/c \u0416\u0436\u0416") ==
          Cut{"HTTPServer", " camel", "Case", " a", "/b", "//\n/", "c", " \u0416\u0436", "\u0416"});
}

TEST_CASE("a name that is not known is refused by it, and the families differ in what they say of a text's start") {
    const auto unknown = PreTokenizer::named("made-up");
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().code == Code::Unsupported);
    CHECK(unknown.error().detail == "pre-tokenizer made-up");
    CHECK(PreTokenizer::named("tekken")->wholeWordsFirst());
    CHECK(PreTokenizer::named("llama-bpe")->addsBos());
    CHECK_FALSE(PreTokenizer::named("smaug-bpe")->wholeWordsFirst());
    CHECK_FALSE(PreTokenizer::named("qwen2")->addsBos());
}
