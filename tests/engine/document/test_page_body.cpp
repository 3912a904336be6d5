#include "support.h"

#include "document/page_body.h"

#include <doctest/doctest.h>

using namespace carrel;
using namespace carrel::test;

namespace {

Document paged(const std::vector<std::string>& pages, DocumentKind kind = DocumentKind::Pdf) {
    Document document;
    document.kind = kind;
    for (const std::string& page : pages) {
        if (!document.text.empty()) document.text += '\f';
        document.places.push_back(
            {.text = {document.text.size(), page.size()}, .size = {}, .heading = {}, .words = {}});
        document.text += page;
    }
    return document;
}

std::string body(const Document& document, std::size_t place) {
    const ByteSpan span = pageBody(document, place);
    const std::string text = document.text.substr(span.first, span.count);
    const auto first = text.find_first_not_of(" \n");
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \n") + 1 - first);
}

}  // namespace

TEST_CASE("what recurs at the edges of pages, figures apart, is none of their body") {
    const Document d = paged({"Lease 2026\n\nThe rent is due.\n\n1",
                              "Lease 2026\n\nOn the first.\n\nOf every month.\n\n2", "Lease 2026\n\nNo pets.\n\n3"});
    CHECK(body(d, 0) == "The rent is due.");
    CHECK(body(d, 1) == "On the first.\n\nOf every month.");
    CHECK(body(d, 2) == "No pets.");
}

TEST_CASE("left and right pages have headers of their own, a footer has two lines, and numbers are Roman") {
    const Document d = paged({"Left\n\nOne.\n\niv\nChapter 1", "Right\n\nTwo.\n\n1.2. Goods\nv",
                              "Left\n\nThree.\n\nvi\nChapter 1", "Right\n\nFour.\n\n1.3. Services\nvii"});
    CHECK(body(d, 0) == "One.");
    CHECK(body(d, 1) == "Two.");
    CHECK(body(d, 2) == "Three.");
    CHECK(body(d, 3) == "Four.");
}

TEST_CASE("text stays text: paragraphs that do not recur, are long, or stand alone") {
    const Document differ = paged({"One.\n\nTwo.\n\nThree.", "Four.\n\nFive.\n\nSix."});
    CHECK(body(differ, 0) == "One.\n\nTwo.\n\nThree.");
    const std::string lines = "The same\nthree lines\non each.";
    const Document tall = paged({lines + "\n\nOne.", lines + "\n\nTwo."});
    CHECK(body(tall, 1) == lines + "\n\nTwo.");
    const Document bare = paged({"Header\n\n1", "Header\n\n2", "Header", ""});
    CHECK(body(bare, 0).empty());
    CHECK(body(bare, 2) == "Header");
    CHECK(body(bare, 3).empty());
    const Document far = paged({"Header\n\nOne.", "A.\n\nB.", "C.\n\nD.", "Header\n\nTwo."});
    CHECK(body(far, 0) == "Header\n\nOne.");
    const Document text = paged({"Header\n\nOne.", "Header\n\nTwo."}, DocumentKind::PlainText);
    CHECK(body(text, 0) == "Header\n\nOne.");
}

TEST_CASE("the policy's pages are without their headers and footers") {
    NEEDS_REAL_PDF(path, "policy-42p.pdf");
    const auto document = readDocument(path, withHelper());
    REQUIRE(document);
    for (std::size_t place = 0; place < document->places.size(); ++place) {
        if (place == 7) continue;  // has nothing else
        CAPTURE(place);
        const std::string text = body(*document, place);
        CHECK(text.find("Debian Policy Manual, Release") == std::string::npos);
        const auto last = text.substr(text.rfind('\n') + 1);
        CHECK(last.find_first_not_of("0123456789") != std::string::npos);
        CHECK_FALSE(last.starts_with("Chapter "));
    }
}
