#include "support.h"

#include <doctest/doctest.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <sstream>
#include <thread>

using namespace carrel;
using namespace carrel::test;

namespace {

Result<Document> read(const std::string& bytes, const DocumentOptions& options = withHelper()) {
    TempFolder folder;
    return readDocument(write(folder / "file.pdf", bytes), options);
}

std::string outputOf(const std::string& command) {
    std::string out;
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), &::pclose);
    char buffer[4096];
    while (pipe) {
        const auto got = std::fread(buffer, 1, sizeof buffer, pipe.get());
        if (got == 0) break;
        out.append(buffer, got);
    }
    return out;
}

std::vector<std::string> wordsOf(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    return words;
}

std::string nfkc(const std::string& text) {
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> mapped(
        utf8proc_NFKC(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str())), &std::free);
    return mapped ? reinterpret_cast<const char*>(mapped.get()) : "";
}

/// Words to delete and insert to get from a to b (Myers), or `most` where it is more.
std::size_t editsBetween(const std::vector<std::string>& a, const std::vector<std::string>& b, std::size_t most) {
    const auto n = static_cast<long>(a.size()), m = static_cast<long>(b.size()), limit = static_cast<long>(most);
    std::vector<long> reach(static_cast<std::size_t>(2 * limit + 3), 0);
    const auto at = [&](long k) -> long& { return reach[static_cast<std::size_t>(k + limit + 1)]; };
    for (long d = 0; d < limit; ++d)
        for (long k = -d; k <= d; k += 2) {
            long x = k == -d || (k != d && at(k - 1) < at(k + 1)) ? at(k + 1) : at(k - 1) + 1;
            while (x < n && x - k < m && x - k >= 0 &&
                   a[static_cast<std::size_t>(x)] == b[static_cast<std::size_t>(x - k)])
                ++x;
            at(k) = x;
            if (x >= n && x - k >= m) return static_cast<std::size_t>(d);
        }
    return most;
}

std::string manyPages(int count) {
    std::vector<std::string> streams;
    for (int i = 1; i <= count; ++i)
        streams.push_back(streamOf({{60, 700, "This is page " + std::to_string(i) + "."}}));
    return pdfOf(streams);
}

}  // namespace

TEST_CASE("columns that alternate in the stream are read one after the other") {
    std::vector<Shown> lines;
    for (int i = 0; i < 5; ++i) {
        lines.push_back({60, 700 - 14 * i, "left " + std::to_string(i) + " the cat sat on"});
        lines.push_back({330, 700 - 14 * i, "right " + std::to_string(i) + " the dog ran by"});
    }
    const auto document = read(pdfOf({streamOf(lines)}));
    REQUIRE(document);
    CHECK(document->text.find("left 4") < document->text.find("right 0"));
    CHECK(document->text.find("left 3") < document->text.find("left 4"));
    const auto right = document->text.find("right 2");
    const auto boxes = document->boxesOf({right, 20});
    REQUIRE(boxes.size() == 1);
    CHECK(boxes[0].x == doctest::Approx(330).epsilon(0.01));
    CHECK(boxes[0].y == doctest::Approx(792 - 672 - 8).epsilon(0.05));
}

TEST_CASE("a line that runs off the page ends no paragraph, and what stands outside of the page is not read") {
    const auto document = read(pdfOf({streamOf(
        {{560, 700, "overlong-word"}, {60, 686, "the next line"}, {60, 672, "and the last."}, {700, 672, "unseen"}})}));
    REQUIRE(document);
    CHECK(document->text.find("overlong-w") == 0);  // Poppler leaves out letters beyond the edge
    CHECK(document->text.find("the next line\nand the last.") != std::string::npos);
    CHECK(document->text.find("unseen") == std::string::npos);
}

TEST_CASE("words that no space glyph parts are parted") {
    const auto document = read(pdfOf({streamOf({{60, 700, "words"}, {96, 700, "placed"}, {138, 700, "apart"}})}));
    REQUIRE(document);
    CHECK(document->text == "words placed apart");
    REQUIRE(document->places[0].words.size() == 3);
    CHECK(document->places[0].words[1].box.x == doctest::Approx(96).epsilon(0.01));
}

TEST_CASE("pages are places, parted by a blank line, and empty ones are named") {
    const auto document = read(pdfOf({streamOf({{60, 700, "One."}}), "", streamOf({{60, 700, "Three."}})}));
    REQUIRE(document);
    CHECK(document->text == "One.\n\nThree.");
    CHECK(document->places.size() == 3);
    CHECK(document->pagesWithoutText == std::vector<std::uint32_t>{2});
    CHECK(document->placeOf(7) == 2);
    CHECK(document->places[1].size.height == 792);
}

TEST_CASE("pictures without text, damage and junk are refused by name") {
    CHECK(read(pdfOf({"0 0 300 300 re f", ""})).error().code == Code::NoText);
    CHECK(read("%PDF-1.4\nnothing of the kind").error().code == Code::NotADocument);
    const auto whole = manyPages(3);
    CHECK(read(whole.substr(0, 200)).error().code == Code::NotADocument);
    CHECK(read("junk of a mail server\n" + whole));
}

TEST_CASE("the sandbox refuses sockets, writing, starting programs, and says so") {
    const auto said = outputOf(CARREL_PDF " --check-sandbox");
    CHECK(said.find("seccomp yes") != std::string::npos);
    CHECK(said.find("not refused: nothing") != std::string::npos);
    if (said.find("landlock yes") == std::string::npos)
        MESSAGE("skipped: this kernel has no Landlock (" << said << ")");
}

TEST_CASE("a helper that is no helper is an error with a name") {
    TempFolder folder;
    const auto pdf = manyPages(2);
    const std::pair<const char*, std::string> scripts[] = {
        {"junk", "head -c 100000 /dev/urandom >&0"},
        {"silence and death", "exit 0"},
        {"half a header", "printf 'CPDF\\001\\000' >&0; exit 0"},
        {"another version", "printf 'CPDF\\002\\000\\001\\000\\001\\000\\000\\000\\000\\000\\000\\000' >&0"},
        {"a huge reply", "printf 'CPDF\\001\\000\\001\\000\\001\\000\\000\\000\\377\\377\\377\\377' >&0"},
        {"an empty reply", "printf 'CPDF\\001\\000\\001\\000\\001\\000\\000\\000\\000\\000\\000\\000' >&0"},
        {"pages without sizes",
         "printf "
         "'CPDF\\001\\000\\001\\000\\001\\000\\000\\000\\020\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\37"
         "7\\377\\001"
         "\\000\\000\\000\\000\\000' >&0"},
        {"a title longer than the reply",
         "printf "
         "'CPDF\\001\\000\\001\\000\\001\\000\\000\\000\\020\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\00"
         "1\\000\\000"
         "\\000\\377\\377\\377\\377' >&0"},
    };
    for (const auto& [what, script] : scripts) {
        CAPTURE(what);
        CHECK(read(pdf, withHelper(program(folder / "helper", script + "; cat >/dev/null"))).error().code ==
              Code::HelperFailed);
    }
    CHECK(read(pdf, withHelper("/bin/false")).error().code == Code::HelperFailed);
    CHECK(read(pdf, withHelper(folder / "absent")).error().code == Code::HelperFailed);
    CHECK(children().empty());
}

TEST_CASE("a helper killed in the middle costs nothing") {
    const auto pdf = manyPages(6);
    const auto whole = read(pdf);
    REQUIRE(whole);
    auto options = withHelper();
    options.progress = [](std::uint32_t done, std::uint32_t) {
        if (done == 1 || done == 4)
            for (const auto pid : children()) ::kill(pid, SIGKILL);
    };
    const auto interrupted = read(pdf, options);
    REQUIRE(interrupted);
    CHECK(interrupted->text == whole->text);
    CHECK(interrupted->pagesWithoutText.empty());
}

TEST_CASE("a stop ends a reading, also while the helper is silent") {
    auto options = withHelper();
    std::stop_source stop;
    options.stop = stop.get_token();
    options.progress = [&](std::uint32_t done, std::uint32_t) {
        if (done == 2) stop.request_stop();
    };
    CHECK(read(manyPages(5), options).error().code == Code::Cancelled);

    TempFolder folder;
    std::stop_source later;
    auto silent = withHelper(program(folder / "silent", "exec sleep 1000"));
    silent.stop = later.get_token();
    std::jthread stopper([&] {
        while (children().empty()) std::this_thread::yield();
        later.request_stop();
    });
    CHECK(read(manyPages(1), silent).error().code == Code::Cancelled);
}

TEST_CASE("real documents of every condition come to the right end") {
    const struct {
        const char* name;
        const char* password;
        bool opens;
        Code code;
        std::size_t places;
    } cases[] = {{"dmg-empty.pdf", "", false, Code::NotADocument, 0},
                 {"dmg-truncated.pdf", "", false, Code::NotADocument, 0},
                 {"dmg-text.pdf", "", true, {}, 1},
                 {"enc-user-aes256.pdf", "", false, Code::NeedsPassword, 0},
                 {"enc-user-aes256.pdf", "wrong", false, Code::WrongPassword, 0},
                 {"enc-user-aes256.pdf", "secret", true, {}, 193},
                 {"enc-owner-noextract.pdf", "", true, {}, 193},
                 {"interleaved-2col.pdf", "", true, {}, 1},
                 {"nospace.pdf", "", true, {}, 1}};
    for (const auto& c : cases) {
        NEEDS_REAL_PDF(file, c.name);
        CAPTURE(c.name);
        const auto document = readDocument(file, withHelper(CARREL_PDF, c.password));
        CHECK(static_cast<bool>(document) == c.opens);
        if (document) {
            CHECK(document->places.size() == c.places);
        } else {
            CHECK(document.error().code == c.code);
            CHECK(document.error().detail.size() > 10);
        }
    }
}

TEST_CASE("a real document with flipped bits is refused by name or read without a fault") {
    NEEDS_REAL_PDF(file, "dmg-classic-bits.pdf");
    const auto document = readDocument(file, withHelper());
    if (document) {  // Poppler 25 repairs what Poppler 22 refuses
        CHECK_FALSE(document->places.empty());
        CHECK_FALSE(nfkc(document->text).empty());  // it is UTF-8
        for (const auto& place : document->places) CHECK(place.text.first + place.text.count <= document->text.size());
    } else {
        CHECK(document.error().code == Code::NotADocument);
        CHECK(document.error().detail.size() > 10);
    }
    CHECK(children().empty());
}

TEST_CASE("the words of real documents are pdftotext's, in its order") {
    if (outputOf("command -v pdftotext").empty()) {
        MESSAGE("skipped: there is no pdftotext");
        return;
    }
    for (const char* name : {"policy-8p.pdf", "policy-42p.pdf", "developers-reference.pdf", "ltnews.pdf"}) {
        NEEDS_REAL_PDF(file, name);
        CAPTURE(name);
        const auto document = readDocument(file, withHelper());
        REQUIRE(document);
        const auto theirs = wordsOf(nfkc(outputOf("pdftotext '" + file.string() + "' -")));
        CHECK(editsBetween(theirs, wordsOf(document->text), theirs.size() / 200) < theirs.size() / 200);  // 0.5 %
        for (const auto& place : document->places)
            for (const auto& word : place.words) {
                CHECK(document->text.substr(word.first, word.count).find_first_of("\n") == std::string::npos);
                CHECK(word.box.width > 0);
            }
    }
}
