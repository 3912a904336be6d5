#include <doctest/doctest.h>

#include "library/word_index.h"

using namespace carrel;

namespace {

/// Pages of text, one after another.
Document pages(const std::vector<std::string>& texts) {
    Document document;
    document.kind = DocumentKind::Pdf;
    for (const auto& text : texts) {
        document.places.emplace_back().text = {document.text.size(), text.size()};
        document.text += text + "\f";
    }
    return document;
}

std::string numbered(int words) {
    std::string text;
    for (int i = 0; i < words; ++i) text.append(i > 0 ? " w" : "w").append(std::to_string(i));
    return text;
}

std::string_view textOf(const Document& document, ByteSpan span) {
    return std::string_view(document.text).substr(span.first, span.count);
}

}  // namespace

TEST_CASE("windows hold every word of every place and never cross two") {
    for (const int words : {0, 1, 79, 80, 81, 160, 161}) {
        const Document document = pages({numbered(words), "  last page \n"});
        const auto windows = wordWindows(document, 80, 80);
        CHECK_MESSAGE(windows.size() == static_cast<std::size_t>((words + 79) / 80 + 1), words);
        std::string joined;
        for (const auto& window : windows) {
            if (window.place == 0) joined.append(joined.empty() ? "" : " ").append(textOf(document, window.span));
        }
        CHECK(joined == numbered(words));
        CHECK(textOf(document, windows.back().span) == "last page");
        CHECK(windows.back().place == 1);
    }
}

TEST_CASE("overlapping windows share words with the next and end with the place") {
    const Document document = pages({numbered(100)});
    const auto windows = wordWindows(document, 40, 20);
    REQUIRE(windows.size() == 4);
    CHECK(textOf(document, windows[1].span).starts_with("w20 "));
    CHECK(textOf(document, windows[1].span).ends_with(" w59"));
    CHECK(textOf(document, windows[3].span).ends_with(" w99"));
}

TEST_CASE("a question's words become a quoted expression without function words and repetitions") {
    CHECK(matchExpression("What must the \"rules\" file start with, and what must rules end with?") ==
          "\"rules\" OR \"file\" OR \"start\" OR \"end\"");
    CHECK(matchExpression("What is that?") == "\"What\" OR \"is\" OR \"that\"");
    CHECK(matchExpression(" ?!* ").empty());
    CHECK(matchExpression("Übergröße") == "\"Übergröße\"");
}

TEST_CASE("the window that answers ranks first") {
    const Document document =
        pages({"Orphaned packages belong to the quality group.", "The synopsis must be kept under 80 characters.",
               "A shared library package must not be tagged essential.", ""});
    auto index = WordIndex::build(document);
    REQUIRE(index);
    const auto ranked = index->rank("How many characters may a synopsis have?", 10);
    REQUIRE(ranked);
    REQUIRE(!ranked->empty());
    CHECK(index->windows()[ranked->front().window].place == 1);
    CHECK(ranked->front().score > 0);
    CHECK(index->rank("packages", 1)->size() == 1);
    CHECK(index->rank("zeppelin", 10)->empty());
    CHECK(index->rank("", 10)->empty());
    CHECK(index->rank("\" OR NEAR( * -", 10));
}

TEST_CASE("a document without text has an empty index") {
    auto index = WordIndex::build(Document{});
    REQUIRE(index);
    CHECK(index->rank("anything", 10)->empty());
}
