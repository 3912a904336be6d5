#include <carrel/library.h>
#include <doctest/doctest.h>

#include <iterator>

#include "engine/library/temporary_folder.h"

using namespace carrel;
namespace fs = std::filesystem;

namespace {

const fs::path kPdf = fs::path(CARREL_PDFS) / "enc-user-aes256.pdf";  // user password "secret"

std::string everythingIn(const fs::path& folder) {
    std::string all;
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (!entry.is_regular_file()) continue;
        std::ifstream in(entry.path(), std::ios::binary);
        all.append(std::istreambuf_iterator<char>(in), {});
    }
    return all;
}

}  // namespace

TEST_CASE("an encrypted document is kept until its password comes, and none of its text is written") {
    if (!fs::exists(kPdf)) {
        MESSAGE("SKIPPED: no " << kPdf.string());
        return;
    }
    TemporaryFolder folder;
    const fs::path data = folder.path() / "data";
    auto opened = Library::open({.dataDir = data, .pdfHelper = CARREL_PDF});
    REQUIRE(opened);
    Library& library = **opened;

    const auto locked = library.add(kPdf, {}, {}, {});
    REQUIRE_MESSAGE(locked, locked.error().detail);
    CHECK(locked->state == DocumentState::NeedsPassword);
    CHECK(locked->title == kPdf.filename());

    const auto wrong = library.add(kPdf, "wrong", {}, {});
    REQUIRE(!wrong);
    CHECK(wrong.error().code == Code::WrongPassword);
    CHECK(library.document(locked->sha256)->state == DocumentState::NeedsPassword);

    const auto ready = library.add(kPdf, "secret", {}, {});
    REQUIRE_MESSAGE(ready, ready.error().detail);
    CHECK(ready->state == DocumentState::Ready);
    CHECK(ready->title == kPdf.filename());
    CHECK(ready->pages == 193);
    CHECK(ready->textBytes > 0);

    TurnRow turn;
    turn.id = *library.startTurn(library.newChat(ready->sha256)->id, "Where?");
    turn.state = TurnState::Done;
    turn.sources.resize(1);
    turn.sources[0].page = 7;
    turn.sources[0].quote = "a quote of the secret text";
    REQUIRE(library.saveTurn(turn));
    const auto turns = library.turns(library.chats(ready->sha256)->front().id);
    REQUIRE(turns);
    CHECK(turns->front().sources.front().page == 7);
    CHECK(turns->front().sources.front().quote.empty());

    CHECK(library.find("policy", {}, 10)->empty());
    CHECK(library.find("policy", ready->sha256, 10).error().code == Code::Unsupported);
    const std::string written = everythingIn(data);  // database, its log, whatever else lies there
    REQUIRE(written.find(ready->sha256) != std::string::npos);
    for (const char* words : {"secret text", "Policy Manual", "maintainer"})
        CHECK_MESSAGE(written.find(words) == std::string::npos, words);
}
