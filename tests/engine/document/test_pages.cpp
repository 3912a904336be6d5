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

std::size_t inkOf(const PageImage& image) {
    std::size_t ink = 0;
    bool opaque = true;
    for (std::size_t i = 0; i < image.pixels.size(); i += 4) {
        std::uint32_t pixel;
        std::memcpy(&pixel, image.pixels.data() + i, sizeof pixel);
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
    CHECK(image->stride * image->height == image->pixels.size());
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
