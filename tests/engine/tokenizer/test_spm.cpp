#include <doctest/doctest.h>

#include <map>
#include <random>

#include "tokenizer/spm.h"
#include "tokenizer/written_tokens.h"

using namespace carrel;

namespace {

std::vector<std::string> charactersOf(std::string_view text) {
    std::vector<std::string> out;
    for (const char c : text) {
        if ((c & 0xc0) != 0x80) out.emplace_back();
        out.back() += c;
    }
    return out;
}

using Scores = std::map<std::string, std::pair<std::int32_t, float>, std::less<>>;

/// The definition: over the whole text, of all neighbours that together are a piece the highest score, leftmost first.
std::vector<std::string> mergedByScan(const Scores& pieces, std::string_view text) {
    std::vector<std::string> parts = charactersOf(text);
    while (true) {
        std::size_t best = parts.size();
        float score = 0;
        for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
            const auto at = pieces.find(parts[i] + parts[i + 1]);
            if (at == pieces.end() || (best < parts.size() && at->second.second <= score)) continue;
            best = i;
            score = at->second.second;
        }
        if (best == parts.size()) return parts;
        parts[best] += parts[best + 1];
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
}

const std::vector<std::string> kLetters{"a", "b", " ", "\u00e9", "\u65e5", "\u672c", "\U0001f642"};

std::string randomText(std::mt19937& random, std::size_t letters) {
    std::string out;
    for (; letters > 0; --letters) out += kLetters[random() % kLetters.size()];
    return out;
}

}  // namespace

TEST_CASE("texts merge as the definition does, characters without piece become bytes, and spans are the text's") {
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        TokenTexts texts;
        Scores scores;
        for (std::int32_t id = 0; id < 60; ++id) {
            std::string text = randomText(random, id % 3 == 0 ? 1 : 1 + random() % 4);
            if (scores.contains(text)) text = "unused" + std::to_string(id);
            texts.append(text);
            // Few scores, so that many are equal; both zeros are one.
            scores[text] = {id, random() % 9 == 0 ? -0.0F : static_cast<float>(random() % 6) - 3.0F};
        }
        SpmPieces pieces(texts, 60);
        for (const auto& [text, piece] : scores) pieces.add(piece.first, piece.second);
        for (int b = 0; b < 256; ++b) pieces.setByte(static_cast<unsigned char>(b), 1000 + b);
        const std::string text = randomText(random, random() % 60);
        CAPTURE(text);
        std::vector<std::int32_t> expected;
        for (const auto& part : mergedByScan(scores, text)) {
            const auto at = scores.find(part);
            if (at != scores.end()) {
                expected.push_back(at->second.first);
                continue;
            }
            for (const char c : part == " " ? std::string(kSpmSpace) : part)
                expected.push_back(1000 + static_cast<unsigned char>(c));
        }
        std::vector<BpeSymbol> got;
        SpmEncoder(pieces).encode(text, false, got);
        REQUIRE(got.size() == expected.size());
        std::size_t at = 0;
        for (std::size_t i = 0; i < got.size(); ++i) {
            CHECK(got[i].id == expected[i]);
            if (got[i].id < 1000) CHECK(text.substr(at, got[i].bytes) == texts[got[i].id]);
            at += got[i].bytes;
        }
        CHECK(at == text.size());
    }
}

TEST_CASE("a space may be written as U+2581, and the one before a text has no bytes of it") {
    TokenTexts texts;
    for (const char* text : {" ", "a", " a"}) texts.append(text);
    SpmPieces pieces(texts, 3);
    for (std::int32_t id = 0; id < 3; ++id) pieces.add(id, static_cast<float>(id));
    SpmEncoder encoder(pieces);
    const auto spans = [&](std::string_view text, bool prefix) {
        std::vector<BpeSymbol> out;
        encoder.encode(text, prefix, out);
        std::vector<std::pair<std::int32_t, std::uint32_t>> pairs;
        for (const auto& symbol : out) pairs.emplace_back(symbol.id, symbol.bytes);
        return pairs;
    };
    using Spans = std::vector<std::pair<std::int32_t, std::uint32_t>>;
    CHECK(spans("\u2581a a", false) == Spans{{2, 4}, {2, 2}});
    CHECK(spans("a", true) == Spans{{2, 1}});
    CHECK(spans(" a", true) == Spans{{0, 0}, {2, 2}});
    CHECK(spans("", true).empty());
}

TEST_CASE("a written token is taken where it stands, the longer ones first and the first of two alike") {
    TokenTexts texts;
    const std::vector<std::string> words{"<a>", "  ", "<a><b>", "b> ", "<a>", "   ", "x"};
    for (const auto& word : words) texts.append(word);
    const WrittenTokens written(texts, {0, 1, 2, 3, 4, 5, 6});
    const auto cut = [&](std::string_view text, std::int32_t without) {
        std::vector<std::pair<std::string, std::int32_t>> out;
        std::size_t at = 0;
        for (const Fragment part : written.cut(text, [&](std::int32_t id) { return id != without; })) {
            CHECK(part.first == at);
            at += part.bytes;
            out.emplace_back(text.substr(part.first, part.bytes), part.token);
        }
        CHECK(at == text.size());
        return out;
    };
    using Parts = std::vector<std::pair<std::string, std::int32_t>>;
    CHECK(cut("q<a><b> <a>", -1) == Parts{{"q", -1}, {"<a><b>", 2}, {" ", -1}, {"<a>", 0}});
    CHECK(cut("q<a><b> <a>", 2) == Parts{{"q", -1}, {"<a>", 0}, {"<", -1}, {"b> ", 3}, {"<a>", 0}});
    CHECK(cut("     ", -1) == Parts{{"   ", 5}, {"  ", 1}});
    CHECK(cut("none", -1) == Parts{{"none", -1}});
    CHECK(written.named("x") == 6);
    CHECK_FALSE(written.named("y"));
}
