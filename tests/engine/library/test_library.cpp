#include <carrel/library.h>
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sqlite.h"
#include "engine/library/temporary_folder.h"

using namespace carrel;
namespace fs = std::filesystem;

namespace {

const std::string kText =
    "The archive of the society is kept in the old mill. Its catalogue lists four hundred letters.\n\n"
    "The letters were written between 1840 and 1866 by a naturalist who lived beside the river.\n";

struct Fixture {
    TemporaryFolder folder;
    fs::path data = folder.path() / "data";

    std::unique_ptr<Library> open() {
        auto library = Library::open({.dataDir = data, .pdfHelper = {}});
        REQUIRE_MESSAGE(library, library.error().detail);
        return std::move(*library);
    }
    DocumentRow add(Library& library, const std::string& name = "letters.txt", const std::string& text = kText) {
        auto row = library.add(folder.write(name, text), {}, {}, {});
        REQUIRE_MESSAGE(row, row.error().detail);
        return *row;
    }
    ChatRow chat(Library& library) {
        auto row = library.newChat(add(library).sha256);
        REQUIRE(row);
        return *row;
    }
    SqlDatabase raw() {
        auto db = SqlDatabase::open(data / "library.sqlite");
        REQUIRE(db);
        return std::move(*db);
    }
    std::int64_t number(const char* sql) {
        auto db = raw();
        auto statement = db.prepare(sql);
        REQUIRE(statement);
        REQUIRE(*statement->step());
        return statement->integer(0);
    }
};

TurnRow turnOf(std::int64_t id, TurnState state = TurnState::Answering, std::string answer = {}) {
    TurnRow turn;
    turn.id = id;
    turn.state = state;
    turn.answer = std::move(answer);
    return turn;
}

}  // namespace

TEST_CASE("an added document is ready, copied, and the same bytes again are the same row") {
    Fixture f;
    auto library = f.open();
    const DocumentRow row = f.add(*library);
    CHECK(row.state == DocumentState::Ready);
    CHECK(row.sha256.size() == 64);
    CHECK(row.fileBytes == kText.size());
    CHECK(row.textBytes > 0);
    CHECK(row.pages == 0);
    CHECK(row.addedAt > 0);
    CHECK(fs::exists(f.data / "documents" / row.sha256 / "original"));
    const DocumentRow again = f.add(*library, "another-name.txt");
    CHECK(again.sha256 == row.sha256);
    CHECK(again.originalPath == row.originalPath);
    REQUIRE(library->documents());
    CHECK(library->documents()->size() == 1);
    CHECK(f.number("SELECT count(*) FROM windows") == f.number("SELECT count(*) FROM windows_fts"));
}

TEST_CASE("a copy that went missing is made again by adding the file again") {
    Fixture f;
    auto library = f.open();
    const DocumentRow row = f.add(*library);
    fs::remove_all(f.data / "documents" / row.sha256);
    f.add(*library);
    CHECK(fs::exists(f.data / "documents" / row.sha256 / "original"));
}

TEST_CASE("an empty file is kept as refused, with a reason") {
    Fixture f;
    auto library = f.open();
    const DocumentRow row = f.add(*library, "empty.txt", "");
    CHECK(row.state == DocumentState::Refused);
    CHECK(!row.reason.empty());
    CHECK(library->document(row.sha256)->reason == row.reason);
}

TEST_CASE("a file that is not there leaves no row") {
    Fixture f;
    auto library = f.open();
    const auto row = library->add(f.folder.path() / "absent.txt", {}, {}, {});
    REQUIRE(!row);
    CHECK(row.error().code == Code::NotFound);
    CHECK(library->documents()->empty());
}

TEST_CASE("adding that is cancelled leaves neither row nor files") {
    Fixture f;
    auto library = f.open();
    std::stop_source stop;
    stop.request_stop();
    const auto row = library->add(f.folder.write("letters.txt", kText), {}, {}, stop.get_token());
    REQUIRE(!row);
    CHECK(row.error().code == Code::Cancelled);
    CHECK(library->documents()->empty());
    CHECK(fs::is_empty(f.data / "documents"));
}

TEST_CASE("documents come last opened first, within a second too") {
    Fixture f;
    auto library = f.open();
    const auto one = f.add(*library, "one.txt", "one\n").sha256;
    const auto two = f.add(*library, "two.txt", "two\n").sha256;
    CHECK(library->documents()->front().sha256 == two);
    REQUIRE(library->opened(one));
    CHECK(library->documents()->front().sha256 == one);
    CHECK(library->opened(std::string(64, '0')).error().code == Code::NotFound);
}

TEST_CASE("forgetting removes the document, its chats, turns, sources, words and files") {
    Fixture f;
    auto library = f.open();
    const auto chat = f.chat(*library);
    TurnRow turn = turnOf(*library->startTurn(chat.id, "Where?"));
    turn.sources.resize(2);
    REQUIRE(library->saveTurn(turn));
    REQUIRE(library->forget(chat.document));
    CHECK(library->documents()->empty());
    CHECK(library->find("mill", {}, 10)->empty());
    CHECK(!fs::exists(f.data / "documents" / chat.document));
    for (const char* table : {"chats", "turns", "sources", "windows", "windows_fts"})
        CHECK_MESSAGE(f.number((std::string("SELECT count(*) FROM ") + table).c_str()) == 0, table);
    CHECK(library->forget(chat.document).error().code == Code::NotFound);
    CHECK(library->forget("../..").error().code == Code::InvalidArgument);
}

TEST_CASE("chats come newest first, keep their drafts over a restart, and are titled by their first question") {
    Fixture f;
    std::string first, second;
    {
        auto library = f.open();
        first = f.chat(*library).id;
        second = f.chat(*library).id;
        REQUIRE(library->saveDraft(first, "Wo liegt das Häuschen? 🏡"));
        REQUIRE(library->saveDraft(second, "half a ques"));
        REQUIRE(library->startTurn(second, "\n Who wrote the letters?\nI forgot."));
    }
    auto library = f.open();
    const auto chats = library->chats(library->documents()->front().sha256);
    REQUIRE(chats);
    REQUIRE(chats->size() == 2);
    CHECK((*chats)[0].id == second);
    CHECK((*chats)[0].title == "Who wrote the letters?");
    CHECK((*chats)[0].draft.empty());
    CHECK((*chats)[1].id == first);
    CHECK((*chats)[1].draft == "Wo liegt das Häuschen? 🏡");
    REQUIRE(library->forgetChat(first));
    CHECK(library->chats(chats->front().document)->size() == 1);
    CHECK(library->forgetChat(first).error().code == Code::NotFound);
    CHECK(library->saveDraft(first, "x").error().code == Code::NotFound);
    CHECK(library->startTurn(first, "x").error().code == Code::NotFound);
    CHECK(library->newChat(std::string(64, '0')).error().code == Code::NotFound);
}

TEST_CASE("a long question is cut to a title at a whole character") {
    Fixture f;
    auto library = f.open();
    const auto chat = f.chat(*library);
    std::string question = "x";
    for (int i = 0; i < 60; ++i) question += "ä";
    REQUIRE(library->startTurn(chat.id, question));
    CHECK(library->chats(chat.document)->front().title == question.substr(0, 79) + "…");
}

TEST_CASE("a turn comes back as it was saved") {
    Fixture f;
    TurnRow turn;
    {
        auto library = f.open();
        const auto chat = f.chat(*library);
        turn = turnOf(*library->startTurn(chat.id, "Wer schrieb die „Briefe“?"));
        turn.chat = chat.id;
        turn.answer = "Ein Naturforscher – 自然科学者 🐦; DROP TABLE turns; --'";
        turn.state = TurnState::Failed;
        turn.reason = "no memory";
        turn.coverage = {
            .pagesRead = 3, .pagesTotal = 7, .tokensRead = 1000, .tokensTotal = 5'000'000'000, .goesOn = true};
        turn.provenance = Provenance::NotSaid;
        turn.pageShares = {0.25f, 0, 0.75f};
        turn.droppedTurns = 2;
        turn.sources = {{.place = "p. 2",
                         .page = 2,
                         .span = {10, 20},
                         .quote = "old mill",
                         .boxes = {{1, 2, 3, 4}, {5, 6, 7, 8}},
                         .share = 0.75f},
                        {.place = "p. 1", .page = 1, .span = {0, 3}, .quote = "The", .boxes = {}, .share = 0.25f}};
        REQUIRE(library->saveTurn(turn));
        REQUIRE(library->saveTurn(turn));  // sources are replaced, not added
    }
    auto library = f.open();
    const auto turns = library->turns(turn.chat);
    REQUIRE(turns);
    REQUIRE(turns->size() == 1);
    const TurnRow& back = turns->front();
    CHECK(back.question == "Wer schrieb die „Briefe“?");
    CHECK(back.answer == turn.answer);
    CHECK(back.state == TurnState::Failed);
    CHECK(back.reason == "no memory");
    CHECK(back.coverage.pagesRead == 3);
    CHECK(back.coverage.tokensTotal == 5'000'000'000);
    CHECK(back.coverage.goesOn);
    CHECK(back.provenance == Provenance::NotSaid);
    CHECK(back.pageShares == std::vector<float>{0.25f, 0, 0.75f});
    CHECK(back.droppedTurns == 2);
    CHECK(back.askedAt > 0);
    REQUIRE(back.sources.size() == 2);
    CHECK(back.sources[0].quote == "old mill");
    CHECK(back.sources[0].span == ByteSpan{10, 20});
    CHECK(back.sources[0].share == 0.75f);
    REQUIRE(back.sources[0].boxes.size() == 2);
    CHECK(back.sources[0].boxes[1].height == 8);
    CHECK(back.sources[1].boxes.empty());
    CHECK(library->saveTurn(turnOf(99)).error().code == Code::NotFound);
}

TEST_CASE("turns left open become interrupted at the next opening, finished ones stay") {
    Fixture f;
    std::string chat;
    {
        auto library = f.open();
        chat = f.chat(*library).id;
        for (const TurnState state : {TurnState::Queued, TurnState::Opening, TurnState::ReadingQuestion,
                                      TurnState::Answering, TurnState::Done, TurnState::Stopped}) {
            REQUIRE(library->saveTurn(turnOf(*library->startTurn(chat, "q"), state, "partial")));
        }
    }
    auto library = f.open();
    const auto turns = library->turns(chat);
    REQUIRE(turns);
    REQUIRE(turns->size() == 6);
    for (std::size_t i = 0; i < 4; ++i) CHECK((*turns)[i].state == TurnState::Interrupted);
    CHECK((*turns)[0].answer == "partial");
    CHECK((*turns)[4].state == TurnState::Done);
    CHECK((*turns)[5].state == TurnState::Stopped);
}

TEST_CASE("a second process does not interrupt the turns of the first") {
    Fixture f;
    auto window = f.open();
    const auto chat = f.chat(*window);
    REQUIRE(window->startTurn(chat.id, "still being answered"));
    auto cli = f.open();
    CHECK(window->turns(chat.id)->front().state == TurnState::Queued);
    window.reset();
    auto third = f.open();  // the second is still there: whose turn it is nobody can tell
    CHECK(third->turns(chat.id)->front().state == TurnState::Queued);
    cli.reset();
    third.reset();
    CHECK(f.open()->turns(chat.id)->front().state == TurnState::Interrupted);
}

TEST_CASE("document folders without a row are swept at opening, others stay") {
    Fixture f;
    std::string kept;
    {
        auto library = f.open();
        kept = f.add(*library).sha256;
    }
    fs::create_directories(f.data / "documents" / std::string(64, 'a'));
    fs::create_directories(f.data / "documents" / "half-copied");
    auto library = f.open();
    CHECK(fs::exists(f.data / "documents" / kept / "original"));
    CHECK(!fs::exists(f.data / "documents" / std::string(64, 'a')));
    CHECK(!fs::exists(f.data / "documents" / "half-copied"));
}

TEST_CASE("adding that a crash cut short is named, and adding again repairs it") {
    Fixture f;
    std::string document;
    {
        auto library = f.open();
        document = f.add(*library).sha256;
    }
    REQUIRE(f.raw().exec("UPDATE documents SET state = 0"));
    auto library = f.open();
    CHECK(library->document(document)->state == DocumentState::Refused);
    CHECK(!library->document(document)->reason.empty());
    CHECK(f.add(*library).state == DocumentState::Ready);
}

TEST_CASE("a library of a newer version can be read and says so on every write") {
    Fixture f;
    std::string document, chat;
    {
        auto library = f.open();
        const auto row = f.chat(*library);
        document = row.document;
        chat = row.id;
        REQUIRE(library->startTurn(chat, "q"));
    }
    REQUIRE(f.raw().exec("PRAGMA user_version = 99"));
    auto library = f.open();
    CHECK(library->documents()->size() == 1);
    CHECK(library->chats(document)->size() == 1);
    CHECK(library->turns(chat)->front().state == TurnState::Queued);  // even that is left to who understands it
    CHECK(!library->find("mill", {}, 5)->empty());
    const auto file = f.folder.write("new.txt", "new\n");
    CHECK(library->add(file, {}, {}, {}).error().code == Code::Unsupported);
    CHECK(library->opened(document).error().code == Code::Unsupported);
    CHECK(library->forget(document).error().code == Code::Unsupported);
    CHECK(library->newChat(document).error().code == Code::Unsupported);
    CHECK(library->saveDraft(chat, "x").error().code == Code::Unsupported);
    CHECK(library->forgetChat(chat).error().code == Code::Unsupported);
    CHECK(library->startTurn(chat, "x").error().code == Code::Unsupported);
    CHECK(library->saveTurn(turnOf(1)).error().code == Code::Unsupported);
    library.reset();
    CHECK(f.number("PRAGMA user_version") == 99);
}

TEST_CASE("a folder that cannot be written is an error that names it") {
    if (::geteuid() == 0) {
        MESSAGE("SKIPPED: root may write everywhere");
        return;
    }
    Fixture f;
    fs::create_directories(f.data);
    REQUIRE(::chmod(f.data.c_str(), 0500) == 0);
    const auto library = Library::open({.dataDir = f.data, .pdfHelper = {}});
    REQUIRE(!library);
    CHECK(library.error().code == Code::NoPermission);
    CHECK(library.error().where.find("data") != std::string::npos);
    ::chmod(f.data.c_str(), 0700);
}

TEST_CASE("a folder that cannot be made is an error") {
    Fixture f;
    const auto file = f.folder.write("in-the-way", "x");
    CHECK(!Library::open({.dataDir = file / "data", .pdfHelper = {}}));
}

TEST_CASE("a file that is no database is an error and stays as it is") {
    Fixture f;
    fs::create_directories(f.data);
    std::ofstream(f.data / "library.sqlite") << std::string(5000, 'x');
    const auto library = Library::open({.dataDir = f.data, .pdfHelper = {}});
    REQUIRE(!library);
    CHECK(library.error().code == Code::Corrupt);
    CHECK(fs::file_size(f.data / "library.sqlite") == 5000);
}

TEST_CASE("states that do not exist, from a damaged file, read as states that do") {
    Fixture f;
    auto library = f.open();
    const auto chat = f.chat(*library);
    REQUIRE(library->startTurn(chat.id, "q"));
    REQUIRE(f.raw().exec("UPDATE turns SET state = 77; UPDATE documents SET pages_without_text = x'0102'"));
    CHECK(library->turns(chat.id)->front().state == TurnState::Interrupted);
    CHECK(library->documents()->front().pagesWithoutText.empty());
}
