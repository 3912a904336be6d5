#include "support.h"

#include "base/hash.h"

#include <doctest/doctest.h>

#include <random>

using namespace carrel;
using namespace carrel::test;
using namespace std::string_literals;

namespace {

Result<Document> read(const std::string& bytes, const std::string& name = "file.txt") {
    TempFolder folder;
    return readDocument(write(folder / name, bytes), withHelper());
}

Code codeOf(const std::string& bytes) {
    const auto document = read(bytes);
    REQUIRE(!document);
    CHECK(document.error().detail.size() > 5);
    return document.error().code;
}

std::string textAt(const Document& document, ByteSpan span) {
    return document.text.substr(span.first, span.count);
}

void checkPlacesCover(const Document& document) {
    std::uint64_t at = 0;
    for (const auto& place : document.places) {
        const auto between = document.text.substr(at, place.text.first - at);
        CHECK(between.find_first_not_of(" \t\n") == std::string::npos);
        at = place.text.first + place.text.count;
    }
    CHECK(document.text.substr(at).find_first_not_of(" \t\n") == std::string::npos);
}

}  // namespace

TEST_CASE("encodings are told by content and end as clean UTF-8") {
    const struct {
        const char* what;
        std::string bytes, text;
    } cases[] = {
        {"UTF-8", "caf\u00e9\n", "caf\u00e9\n"},
        {"UTF-8 with a mark",
         "\xEF\xBB\xBF"
         "caf\u00e9",
         "caf\u00e9"},
        {"UTF-16 little-endian", "\xFF\xFE"s + "h\0i\0\x3D\xD8\x00\xDE"s, "hi\U0001F600"},
        {"UTF-16 big-endian", "\xFE\xFF"s + "\0h\0i"s, "hi"},
        {"UTF-16 with half a pair", "\xFF\xFE"s + "h\0\x3D\xD8"s, "h\uFFFD"},
        {"Latin-1", "na\xEFve caf\xE9", "na\u00efve caf\u00e9"},
        {"Windows-1252", "\x93quoted\x94 \x96 \x80", "\u201cquoted\u201d \u2013 \u20ac"},
        {"UTF-8 with one broken byte",
         std::string(30, 'x') + "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\xFF",
         std::string(30, 'x') + "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\uFFFD"},
        {"line ends", "a\r\nb\rc\n", "a\nb\nc\n"},
        {"escapes", "a\x1b[1mb" + std::string(200, 'x'), "a[1mb" + std::string(200, 'x')},
    };
    for (const auto& c : cases) {
        CAPTURE(c.what);
        const auto document = read(c.bytes);
        REQUIRE(document);
        CHECK(document->text == c.text);
        CHECK(document->kind == DocumentKind::PlainText);
        CHECK(document->sha256 == sha256Hex(std::as_bytes(std::span(c.bytes))));
    }
}

TEST_CASE("what is neither a PDF nor text is refused with a sentence") {
    CHECK(codeOf("") == Code::NotADocument);
    CHECK(codeOf(" \n\t\n") == Code::NotADocument);
    CHECK(codeOf("text with a \0 in it"s) == Code::NotADocument);
    CHECK(codeOf("\xFF\xFE\0\0h\0\0\0"s) == Code::NotADocument);  // UTF-32
    std::mt19937 random(7);
    for (const int size : {1, 5, 100, 5000}) {
        std::string junk;
        for (int i = 0; i < size; ++i) junk += static_cast<char>(random() % 8);
        CAPTURE(size);
        CHECK(codeOf(junk) == Code::NotADocument);
    }
    TempFolder folder;
    CHECK(readDocument(folder.path(), withHelper()).error().code == Code::NotADocument);
    CHECK(readDocument(folder / "absent", withHelper()).error().code == Code::NotFound);
}

TEST_CASE("a text named .pdf is read as text, and one that speaks of %PDF- too") {
    const auto named = read("Only words.\n", "file.pdf");
    REQUIRE(named);
    CHECK(named->kind == DocumentKind::PlainText);
    const auto speaking = read("A file starts with %PDF-1.7 and ends elsewhere.\n");
    REQUIRE(speaking);
    CHECK(speaking->kind == DocumentKind::PlainText);
}

TEST_CASE("Markdown has a place for every section, named by its heading") {
    const std::string text =
        "---\ntitle: x\n---\n\nBefore.\n\n# One #\n\nText `#` here.\n\n```\n# no heading\n```\n\n## Two *words*\n\n- "
        "a\n\nThree\n=====\n\nEnd.\n";
    const auto document = read(text);
    REQUIRE(document);
    CHECK(document->kind == DocumentKind::Markdown);
    CHECK(document->title == "One");
    std::vector<std::string> headings;
    for (const auto& place : document->places) headings.push_back(place.heading);
    CHECK(headings == std::vector<std::string>{"", "One", "Two words", "Three"});
    CHECK(textAt(*document, document->places[1].text).starts_with("# One #"));
    CHECK(textAt(*document, document->places[3].text) == "Three\n=====\n\nEnd.");
    checkPlacesCover(*document);
}

TEST_CASE("comments of scripts and settings are not headings") {
    CHECK(read("#!/bin/sh\n\n# says hello\n\necho hello\n")->kind == DocumentKind::PlainText);
    CHECK(read("# first line\n# second line\n# third\nkey=value\n")->kind == DocumentKind::PlainText);
    CHECK(read("key=value\n#include <x>\n")->kind == DocumentKind::PlainText);
}

TEST_CASE("plain text has places of about a page that cover it, whatever its lines look like") {
    std::mt19937 random(3);
    for (const int style : {0, 1, 2}) {  // paragraphs; one line without end; lines without blank ones
        CAPTURE(style);
        std::string text;
        while (text.size() < 40'000) {
            text += style == 1 ? "w\u00f6rd " : "some w\u00f6rds of a line that goes on";
            if (style != 1) text += random() % 4 == 0 && style == 0 ? "\n\n" : "\n";
        }
        const auto document = read(text);
        REQUIRE(document);
        CHECK(document->places.size() >= 6);
        for (const auto& place : document->places) {
            CHECK(place.text.count <= 6000);
            CHECK(!place.heading.empty());
            CHECK(place.heading.size() <= 60);
        }
        checkPlacesCover(*document);
    }
}

TEST_CASE("placeOf finds the place that holds a byte, or the one before") {
    Document document;
    document.text = "one\n\ntwo\n\nfour";
    document.places = {Place{.text = {0, 3}, .size = {}, .heading = {}, .words = {}},
                       Place{.text = {5, 3}, .size = {}, .heading = {}, .words = {}},
                       Place{.text = {8, 0}, .size = {}, .heading = {}, .words = {}},
                       Place{.text = {10, 4}, .size = {}, .heading = {}, .words = {}}};
    const std::size_t expected[] = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3};
    for (std::size_t byte = 0; byte < std::size(expected); ++byte) {
        CAPTURE(byte);
        CHECK(document.placeOf(byte) == expected[byte]);
    }
    CHECK(document.placeOf(1000) == 3);
    CHECK(Document{}.placeOf(5) == 0);
}

TEST_CASE("boxesOf gives one box a line, for the words that the span touches") {
    Document document;
    document.text = "aa bb\ncc dd";
    Place place{.text = {0, 11}, .size = {100, 100}, .heading = {}, .words = {}};
    place.words = {
        {0, 2, {10, 10, 20, 10}}, {3, 2, {35, 10, 20, 10}}, {6, 2, {10, 22, 20, 10}}, {9, 2, {35, 22, 20, 10}}};
    document.places = {place};
    const auto boxes = document.boxesOf({4, 3});
    REQUIRE(boxes.size() == 2);
    CHECK(boxes[0].x == 35);
    CHECK(boxes[0].width == 20);
    CHECK(boxes[1].y == 22);
    const auto all = document.boxesOf({0, 11});
    REQUIRE(all.size() == 2);
    CHECK(all[0].width == 45);
    CHECK(document.boxesOf({2, 1}).empty());
    CHECK(document.boxesOf({0, 0}).empty());
    CHECK(Document{}.boxesOf({0, 5}).empty());
}
