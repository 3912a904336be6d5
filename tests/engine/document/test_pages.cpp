#include "support.h"

#include <carrel/pages.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

using namespace carrel;
using namespace carrel::test;

namespace {

struct Fixture {
    TempFolder folder;
    std::unique_ptr<Pages> pages;
    explicit Fixture(std::filesystem::path helper = CARREL_PDF)
        : pages(*Pages::open({.dataDir = folder / "data", .pdfHelper = std::move(helper)})) {}
    std::string add(const std::string& bytes) {
        return *DocumentStore(folder / "data").adopt(write(folder / "new", bytes));
    }
};

std::string page(const std::string& text) {
    return streamOf({{60, 700, text}});
}

/// Two pages; an outline of three entries; on page 1 a link within, one outside, and one that runs a program.
std::string pdfWithLinks() {
    const std::string bodies[] = {
        "<< /Type /Catalog /Pages 2 0 R /Outlines 6 0 R >>",
        "<< /Type /Pages /Kids [4 0 R 5 0 R] /Count 2 >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Annots [10 0 R 11 0 R 12 0 R] >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>",
        "<< /Type /Outlines /First 7 0 R /Last 9 0 R /Count 2 >>",
        "<< /Title (First \\(part\\)) /Parent 6 0 R /Next 9 0 R /First 8 0 R /Last 8 0 R /Count 1 /Dest [4 0 R /Fit] "
        ">>",
        "<< /Title (A section) /Parent 7 0 R /Dest [5 0 R /XYZ 0 500 0] >>",
        "<< /Title (Nowhere) /Parent 6 0 R /Prev 7 0 R >>",
        "<< /Type /Annot /Subtype /Link /Rect [60 700 160 712] /Dest [5 0 R /XYZ 0 700 0] >>",
        "<< /Type /Annot /Subtype /Link /Rect [60 600 160 612] /A << /S /URI /URI (https://example.org/a?b=c) >> >>",
        "<< /Type /Annot /Subtype /Link /Rect [60 500 160 512] /A << /S /Launch /F (/bin/sh) >> >>"};
    return pdfOfObjects({std::begin(bodies), std::end(bodies)});
}

std::size_t inkOf(const PageImage& image) {
    std::size_t ink = 0;
    bool opaque = true;
    for (std::size_t i = 0; i < image.pixels->size(); i += 4) {
        std::uint32_t pixel;
        std::memcpy(&pixel, image.pixels->data() + i, sizeof pixel);
        opaque = opaque && (pixel >> 24) == 0xff;
        ink += (pixel & 0xff) < 128;
    }
    CHECK(opaque);
    return ink;
}

}  // namespace

TEST_CASE("a page whose fonts are not embedded is drawn inside the sandbox, where its words are") {
    Fixture f;
    const auto document = f.add(pdfOf({page("Some words in a font of the system"), ""}));
    const auto sizes = f.pages->sizes(document, "");
    REQUIRE(sizes);
    REQUIRE(sizes->size() == 2);
    CHECK((*sizes)[0].width == 612);
    CHECK((*sizes)[0].height == 792);
    const auto image = f.pages->render(document, "", 1, 612);
    REQUIRE(image);
    CHECK(image->width == 612);
    CHECK(image->height == 792);
    CHECK(image->stride * image->height == image->pixels->size());
    CHECK(inkOf(*image) > 50);
    const auto blank = f.pages->render(document, "", 2, 100);
    REQUIRE(blank);
    CHECK(inkOf(*blank) == 0);
}

TEST_CASE("pages and widths that do not exist are the caller's mistake") {
    Fixture f;
    const auto document = f.add(pdfOf({page("x")}));
    for (const auto& [number, width] : {std::pair{0u, 100u}, {2u, 100u}, {1u, 0u}, {1u, 8193u}})
        CHECK(f.pages->render(document, "", number, width).error().code == Code::InvalidArgument);
    CHECK(f.pages->render(std::string(64, 'a'), "", 1, 100).error().code == Code::NotFound);
    CHECK(f.pages->sizes("../x", "").error().code == Code::NotFound);
}

TEST_CASE("a text has no pages, and a document with pages has no text to show") {
    Fixture f;
    const auto text = f.add("Some words.\n"), pdf = f.add(pdfOf({page("x")}));
    CHECK(f.pages->sizes(text, "")->empty());
    CHECK(*f.pages->text(text) == "Some words.\n");
    CHECK(f.pages->text(pdf).error().code == Code::InvalidArgument);
}

TEST_CASE("two helpers stay warm, and one that was killed is replaced by the next call") {
    Fixture f;
    std::vector<std::string> documents;
    for (const char* word : {"one", "two", "three"}) documents.push_back(f.add(pdfOf({page(word)})));
    for (const auto& document : documents) REQUIRE(f.pages->render(document, "", 1, 50));
    const auto warm = children();
    CHECK(warm.size() == 2);
    REQUIRE(f.pages->render(documents[1], "", 1, 50));
    CHECK(children() == warm);
    for (const auto pid : warm) ::kill(pid, SIGKILL);
    bool drawn = false;
    for (int tries = 0; tries < 2 && !drawn;
         ++tries) {  // the kernel may take a moment: one call may still meet the dying one
        const auto image = f.pages->render(documents[1], "", 1, 50);
        drawn = static_cast<bool>(image);
        if (!image) CHECK(image.error().code == Code::HelperFailed);
    }
    CHECK(drawn);
    f.pages.reset();
    CHECK(children().empty());
}

TEST_CASE("a helper that cannot be trusted is an error, not a crash") {
    TempFolder folder;
    for (const auto& helper : {std::filesystem::path("/bin/false"), folder / "absent",
                               program(folder / "junk", "head -c 100000 /dev/urandom >&0")}) {
        CAPTURE(helper.string());
        Fixture f(helper);
        const auto document = f.add(pdfOf({page("x")}));
        CHECK(f.pages->sizes(document, "").error().code == Code::HelperFailed);
        CHECK(f.pages->render(document, "", 1, 100).error().code == Code::HelperFailed);
    }
}

TEST_CASE("the words of a page are those of the stored extraction, with their bytes and boxes") {
    Fixture f;
    const auto document = f.add(pdfOf({page("First page."), page("Words of the second")}));
    const auto words = f.pages->words(document, "", 2);
    REQUIRE(words);
    CHECK(words->text == "Words of the second");
    CHECK(words->span.first == 13);
    REQUIRE(words->words.size() == 4);
    CHECK(words->words[1].first == 13 + 6);
    CHECK(words->words[1].box.x > words->words[0].box.x + words->words[0].box.width);
    CHECK(f.pages->words(document, "", 3).error().code == Code::InvalidArgument);
    CHECK(f.pages->words(document, "", 0).error().code == Code::InvalidArgument);
    CHECK(f.pages->words(f.add("Some text.\n"), "", 1).error().code == Code::InvalidArgument);
    f.pages->letGo();
    CHECK(f.pages->words(document, "", 1)->text == "First page.");
}

TEST_CASE("contents and links lead to pages and places, addresses are kept as they are, other actions are nothing") {
    Fixture f;
    const auto document = f.add(pdfWithLinks());
    const auto outline = f.pages->outline(document, "");
    REQUIRE(outline);
    REQUIRE(outline->size() == 3);
    CHECK((*outline)[0].title == "First (part)");
    CHECK((*outline)[0].level == 0);
    CHECK((*outline)[0].target.page == 1);
    CHECK((*outline)[1].title == "A section");
    CHECK((*outline)[1].level == 1);
    CHECK((*outline)[1].target.page == 2);
    CHECK((*outline)[1].target.y == doctest::Approx(792 - 500));
    CHECK((*outline)[2].target.page == 0);  // leads to no page that there is

    const auto links = f.pages->links(document, "", 1);
    REQUIRE(links);
    REQUIRE(links->size() == 2);
    CHECK((*links)[0].target.page == 2);
    CHECK((*links)[0].target.y == doctest::Approx(792 - 700));
    CHECK((*links)[0].box.x == doctest::Approx(60));
    CHECK((*links)[0].box.y == doctest::Approx(792 - 712));
    CHECK((*links)[0].box.height == doctest::Approx(12));
    CHECK((*links)[1].target.page == 0);
    CHECK((*links)[1].address == "https://example.org/a?b=c");
    CHECK(f.pages->links(document, "", 2)->empty());
    CHECK(f.pages->links(document, "", 3).error().code == Code::InvalidArgument);
}

TEST_CASE("a document without contents has none, and a Markdown text's are its headings") {
    Fixture f;
    CHECK(f.pages->outline(f.add(pdfOf({page("x")})), "")->empty());
    CHECK(f.pages->outline(f.add("Some words.\n"), "")->empty());
    const std::string text = "# Birds\n\nA heron.\n\n## Waders\n\nA snipe.\n\nFishes\n------\n\nAn eel.\n";
    const auto outline = f.pages->outline(f.add(text), "");
    REQUIRE(outline);
    REQUIRE(outline->size() == 3);
    CHECK((*outline)[0].title == "Birds");
    CHECK((*outline)[1].level == 1);
    CHECK((*outline)[1].target.byte == text.find("## Waders"));
    CHECK((*outline)[2].title == "Fishes");
    CHECK((*outline)[2].level == 1);
}

TEST_CASE("the helper is looked for where it is installed, then where it was built") {
    const TempFolder folder;
    std::filesystem::create_directories(folder / "bin");
    std::filesystem::create_directories(folder / "libexec/carrel");
    const auto program = folder / "bin/carrel";
    CHECK(pdfHelperOf(program) == folder / "bin/carrel-pdf");
    write(folder / "libexec/carrel/carrel-pdf", "");
    CHECK(pdfHelperOf(program) == folder / "libexec/carrel/carrel-pdf");
}
