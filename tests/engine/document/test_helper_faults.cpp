// The helper killed, hung and out of memory: the page at hand is skipped and named, nothing else is lost.
#include "support.h"

#include <carrel/pages.h>
#include <doctest/doctest.h>

#include <algorithm>

using namespace carrel;
using namespace carrel::test;

namespace {

// Long enough for a fresh helper on a busy machine, short enough to wait for.
constexpr std::chrono::milliseconds kPageLimit{4000};

std::string streamObject(const std::string& dictionary, const std::string& bytes) {
    return "<< " + dictionary + " /Length " + std::to_string(bytes.size()) + " >>\nstream\n" + bytes + "\nendstream";
}

/// Three pages: words, what `second` holds (objects from 9 on are its own), words.
std::string threePages(const std::string& second, const std::string& resources = {},
                       const std::vector<std::string>& more = {}) {
    const std::string font = "/Font << /F1 3 0 R >>";
    std::vector<std::string> bodies{"<< /Type /Catalog /Pages 2 0 R >>",
                                    "<< /Type /Pages /Kids [4 0 R 5 0 R 6 0 R] /Count 3 >>",
                                    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"};
    const auto page = [&](int content, const std::string& also) {
        bodies.push_back("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents " + std::to_string(content) +
                         " 0 R /Resources << " + font + also + " >> >>");
    };
    page(7, {});
    page(9, resources);
    page(8, {});
    bodies.push_back(streamObject("", streamOf({{60, 700, "The first page."}})));
    bodies.push_back(streamObject("", streamOf({{60, 700, "The third page."}})));
    bodies.push_back(second);
    bodies.insert(bodies.end(), more.begin(), more.end());
    return pdfOfObjects(bodies);
}

/// An array of fifty million names in a file of 800 KB: more than the helper may hold.
std::string pageOfNames() {
    std::string runs = std::string(1, '\0') + "[";
    for (int i = 0; i < 400'000; ++i) runs += "\x81/";
    return threePages(streamObject("/Filter /RunLengthDecode", runs + "\x80"));
}

/// Transparent groups within each other, each of which wants an image of the page.
std::string pageOfGroups() {
    constexpr int kDepth = 100, kFirst = 10;
    const auto inner = [](int object) { return "/XObject << /F " + std::to_string(object) + " 0 R >>"; };
    std::vector<std::string> forms;
    for (int i = 0; i < kDepth; ++i) {
        const bool last = i + 1 == kDepth;
        forms.push_back(
            streamObject("/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Group << /S /Transparency >> "
                         "/Resources << " +
                             (last ? std::string() : inner(kFirst + i + 1)) + " >>",
                         last ? "0 0 300 300 re f" : "0 0 300 300 re f /F Do"));
    }
    return threePages(streamObject("", "/F Do"), inner(kFirst), forms);
}

/// Ten million letters: a page that takes longer than anyone waits.
std::string pageWithoutEnd() {
    constexpr int kDepth = 8, kFirst = 10;
    std::string letters, tenTimes;
    for (int i = 0; i < 100; ++i) letters += "a b c d e ";
    for (int i = 0; i < 10; ++i) tenTimes += "/F Do 1 0 0 1 0.1 0.3 cm ";
    std::vector<std::string> forms;
    for (int i = 0; i < kDepth; ++i) {
        const bool last = i + 1 == kDepth;
        const std::string resources =
            last ? "/Font << /F1 3 0 R >>" : "/XObject << /F " + std::to_string(kFirst + i + 1) + " 0 R >>";
        forms.push_back(
            streamObject("/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << " + resources + " >>",
                         last ? "BT /F1 1 Tf 1 0 0 1 50 50 Tm (" + letters + ") Tj ET" : tenTimes));
    }
    return threePages(streamObject("", "/F Do"), "/XObject << /F 10 0 R >>", forms);
}

Result<Document> read(const std::string& bytes, const DocumentOptions& options) {
    TempFolder folder;
    return readDocument(write(folder / "file.pdf", bytes), options);
}

struct Fixture {
    TempFolder folder;
    std::unique_ptr<Pages> pages;
    explicit Fixture(std::chrono::milliseconds limit = std::chrono::milliseconds(20'000))
        : pages(*Pages::open({.dataDir = folder / "data", .pdfHelper = CARREL_PDF, .pageLimit = limit})) {}
    std::string add(const std::string& bytes) {
        return *DocumentStore(folder / "data").adopt(write(folder / "new", bytes));
    }
};

}  // namespace

TEST_CASE("a page that needs more memory than the helper may use is skipped and named, the others are read") {
    const auto document = read(pageOfNames(), withHelper());
    REQUIRE(document);
    CHECK(document->text == "The first page.\n\nThe third page.");
    CHECK(document->pagesWithoutText == std::vector<std::uint32_t>{2});
}

TEST_CASE("a page at which the helper hangs is skipped and named, the others are read") {
    auto options = withHelper();
    options.pageLimit = kPageLimit;
    const auto document = read(pageWithoutEnd(), options);
    REQUIRE(document);
    CHECK(document->text == "The first page.\n\nThe third page.");
    CHECK(document->pagesWithoutText == std::vector<std::uint32_t>{2});
    CHECK(children().empty());
}

TEST_CASE("a helper that was stopped is given up and a fresh one goes on") {
    auto options = withHelper();
    options.pageLimit = kPageLimit;
    options.progress = [](std::uint32_t done, std::uint32_t) {
        if (done == 1)
            for (const auto pid : children()) ::kill(pid, SIGSTOP);
    };
    const auto document = read(threePages(streamObject("", streamOf({{60, 700, "The second page."}}))), options);
    REQUIRE(document);
    CHECK(document->pagesWithoutText.empty());
    CHECK(document->text.find("The second page.") != std::string::npos);
}

TEST_CASE("a page that cannot be drawn for want of memory is an error, and the next one is drawn") {
    Fixture f;
    const auto document = f.add(pageOfGroups());
    REQUIRE(f.pages->render(document, "", 1, 300));
    const auto image = f.pages->render(document, "", 2, 6000);
    REQUIRE(!image);
    CHECK((image.error().code == Code::NoMemory || image.error().code == Code::HelperFailed));
    CHECK(f.pages->render(document, "", 3, 300));
    CHECK(f.pages->render(document, "", 2, 300));  // as small as this, it can
}

TEST_CASE("a helper killed or stopped between two pages is not noticed: a fresh one draws") {
    Fixture f(kPageLimit);
    const auto document = f.add(threePages(streamObject("", streamOf({{60, 700, "The second page."}}))));
    REQUIRE(f.pages->render(document, "", 1, 200));
    for (const auto pid : children()) ::kill(pid, SIGKILL);
    CHECK(f.pages->render(document, "", 2, 200));
    for (const auto pid : children()) ::kill(pid, SIGSTOP);
    CHECK(f.pages->render(document, "", 3, 200));
    CHECK(children().size() == 1);
}
