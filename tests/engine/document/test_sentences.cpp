#include "support.h"

#include "document/sentences.h"

#include <doctest/doctest.h>

#include <cctype>

using namespace carrel;
using namespace carrel::test;

namespace {

/// The sentences with bars between them.
std::string barred(const std::vector<std::string>& sentences) {
    std::string all;
    for (const std::string& one : sentences) all += (all.empty() ? "" : " ¦ ") + one;
    return all;
}

std::string sentences(const std::string& text) {
    std::vector<std::string> found;
    for (const ByteSpan span : SentenceFinder().find(text)) found.push_back(text.substr(span.first, span.count));
    return barred(found);
}

/// Each within the text, in order, clean at its ends, and nothing but white space between them.
void checkCover(const std::string& text) {
    std::uint64_t at = 0;
    for (const ByteSpan span : SentenceFinder().find(text)) {
        REQUIRE(span.first >= at);
        REQUIRE(span.count > 0);
        CHECK(text.substr(at, span.first - at).find_first_not_of(" \t\n\r\f\v") == std::string::npos);
        CHECK(!std::isspace(static_cast<unsigned char>(text[span.first])));
        CHECK(!std::isspace(static_cast<unsigned char>(text[span.first + span.count - 1])));
        at = span.first + span.count;
    }
    REQUIRE(at <= text.size());
    CHECK(text.substr(at).find_first_not_of(" \t\n\r\f\v") == std::string::npos);
}

}  // namespace

TEST_CASE("abbreviations, initials, numbers and versions end no sentence") {
    const std::vector<std::string> expected[] = {
        {"First one, e.g. Debian, is here.", "Second (see Fig. 3) too!", "\"Third?\"", "Last."},
        {"Dr. Smith and J. R. R. Tolkien agree with Jones et al. Prices rose by 3.5 per cent."},
        {"Version 3.0.1 is out.", "It needs at least 4.6.", "The U.S. Army has it."},
        {"See Sec. 3.2 and cf. No. 7 of that.", "Then go on."},
        {"The file debian/control, i.e. The control file, is read.", "Nothing else is."},
    };
    for (const auto& sentence : expected) {
        std::string text;
        for (const std::string& one : sentence) text += (text.empty() ? "" : " ") + one;
        CHECK(sentences(text) == barred(sentence));
    }
}

TEST_CASE("sentences of other scripts are told apart") {
    CHECK(sentences("Café à l’été. Ça va ? Oui ! Über uns.") ==
          barred({"Café à l’été.", "Ça va ?", "Oui !", "Über uns."}));
    CHECK(sentences("См. рис. 3 здесь. Да. Нет.") == barred({"См. рис. 3 здесь.", "Да.", "Нет."}));
    CHECK(sentences("我是学生。你呢？他也是！") == barred({"我是学生。", "你呢？", "他也是！"}));
    CHECK(sentences("هذا كتاب. هل قرأته؟ نعم.") == barred({"هذا كتاب.", "هل قرأته؟", "نعم."}));
}

TEST_CASE("the end of a line is none of a sentence, a blank line is") {
    CHECK(sentences("A sentence that\ngoes on, over\nthree lines. Another\none.\n\nA heading\n\nMore text") ==
          barred({"A sentence that\ngoes on, over\nthree lines.", "Another\none.", "A heading", "More text"}));
}

TEST_CASE("headings, rows of tables and items of lists stand for themselves, items with their marks") {
    CHECK(sentences("# Title\nText of it. More.\n## 2. Next\n| a | b |\n| c. D | e |\nAfter.") ==
          barred({"# Title", "Text of it.", "More.", "## 2. Next", "| a | b |", "| c. D | e |", "After."}));
    CHECK(sentences("3.2.1 The Archive\nDebian has one. See version\n3.2 of it.") ==
          barred({"3.2.1 The Archive", "Debian has one.", "See version\n3.2 of it."}));
    CHECK(sentences(
              "Three things:\n• one of\nthem\n• two. Really.\n1. Do it. Well.\n(b) or not\n[12] A. Author. A Title.") ==
          barred({"Three things:", "• one of\nthem", "• two.", "Really.", "1. Do it.", "Well.", "(b) or not",
                  "[12] A. Author.", "A Title."}));
    CHECK(sentences("in the year\n2019. Then it\nended.") == barred({"in the year\n2019.", "Then it\nended."}));
}

TEST_CASE("nothing, blanks, broken bytes and marks alone are no trouble") {
    CHECK(sentences("").empty());
    CHECK(sentences(" \n\n\t").empty());
    CHECK(sentences("•") == barred({"•"}));
    std::mt19937 random(11);
    const std::string pieces[] = {"\n", "\n\n", " ",    ". ", "• ", "1. ",  "(a) ", "e.g.",
                                  "é",  "\xFF", "我。", "# ", "|",  "Word", "word", "?\" "};
    for (int i = 0; i < 500; ++i) {
        std::string text;
        for (int n = 0; n < 30; ++n) text += pieces[random() % std::size(pieces)];
        checkCover(text);
    }
}

TEST_CASE("real pages: sentences cover the text, begin like sentences and are of a readable length") {
    const auto folder = std::filesystem::path(CARREL_PDFS);
    if (!std::filesystem::exists(folder)) return;
    for (const char* name : {"policy-8p.pdf", "policy-42p.pdf", "developers-reference.pdf", "ltnews.pdf"}) {
        const auto document = readDocument(folder / name, withHelper());
        REQUIRE(document);
        std::size_t count = 0, small = 0, bytes = 0;
        const SentenceFinder finder;
        for (std::size_t page = 0; page < document->places.size(); ++page) {
            const ByteSpan place = document->places[page].text;
            const std::string text = document->text.substr(place.first, place.count);
            checkCover(text);
            bool first = true;  // may go on from the page before
            for (const ByteSpan span : finder.find(text)) {
                ++count;
                bytes += span.count;
                small += !first && std::islower(static_cast<unsigned char>(text[span.first])) != 0;
                first = false;
            }
        }
        CAPTURE(name);
        CAPTURE(count);
        CAPTURE(small);
        CHECK(count > 10 * document->places.size());
        CHECK(bytes / count < 200);
        CHECK(small * 20 < count);  // they begin with a small letter: code, fields, names of programs
    }
}
