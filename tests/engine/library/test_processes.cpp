#include <carrel/library.h>
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <random>

#include "engine/library/temporary_folder.h"

using namespace carrel;

namespace {

struct Fixture {
    TemporaryFolder folder;
    std::filesystem::path data = folder.path() / "data";
    std::string chat;

    Fixture() {
        auto library = open();
        const auto document = library->add(folder.write("letters.txt", "Four hundred letters.\n"), {}, {}, {});
        REQUIRE(document);
        const auto row = library->newChat(document->sha256);
        REQUIRE(row);
        chat = row->id;
    }
    std::unique_ptr<Library> open() const {
        auto library = Library::open({.dataDir = data, .pdfHelper = {}});
        REQUIRE(library);
        return std::move(*library);
    }
};

/// Runs work in a child that ends without destructors, as a crash would; 0 when work says true.
pid_t inChild(const std::function<bool()>& work) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(work() ? 0 : 1);
    REQUIRE(child > 0);
    return child;
}

}  // namespace

TEST_CASE("a process killed while it saves turns loses at most the call it was in") {
    std::mt19937 random(7);
    for (int round = 0; round < 12; ++round) {
        Fixture f;
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        const pid_t child = inChild([&] {
            auto library = Library::open({.dataDir = f.data, .pdfHelper = {}});
            if (!library) return false;
            TurnRow turn;
            turn.id = *(*library)->startTurn(f.chat, "q");
            turn.state = TurnState::Answering;
            turn.sources.resize(3);
            for (int saved = 1;; ++saved) {
                turn.answer = std::to_string(saved);
                for (Source& source : turn.sources) source.quote = turn.answer;
                if (!(*library)->saveTurn(turn)) return false;
                if (::write(ends[1], &saved, sizeof saved) != sizeof saved) return false;
            }
        });
        ::close(ends[1]);
        int acknowledged = 0;
        const int killAfter = std::uniform_int_distribution(1, 40)(random);
        for (int got = 0;
             got < killAfter && ::read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged;)
            ++got;
        ::usleep(std::uniform_int_distribution(0, 3000)(random));
        ::kill(child, SIGKILL);
        while (::read(ends[0], &acknowledged, sizeof acknowledged) == sizeof acknowledged) {
        }
        ::close(ends[0]);
        ::waitpid(child, nullptr, 0);

        const auto turns = f.open()->turns(f.chat);
        REQUIRE(turns);
        REQUIRE(turns->size() == 1);
        const TurnRow& turn = turns->front();
        CHECK(turn.state == TurnState::Interrupted);
        const int kept = std::stoi(turn.answer);
        CHECK(kept >= acknowledged);
        CHECK(kept <= acknowledged + 1);
        REQUIRE(turn.sources.size() == 3);  // of the same call as the answer
        for (const Source& source : turn.sources) CHECK(source.quote == turn.answer);
    }
}

TEST_CASE("two processes write at the same time and neither loses a turn") {
    Fixture f;
    const auto writeTurns = [&f] {
        auto library = Library::open({.dataDir = f.data, .pdfHelper = {}});
        if (!library) return false;
        for (int i = 0; i < 60; ++i) {
            const auto id = (*library)->startTurn(f.chat, "q");
            if (!id) return false;
            TurnRow turn;
            turn.id = *id;
            turn.state = TurnState::Done;
            if (!(*library)->saveTurn(turn)) return false;
        }
        return true;
    };
    const pid_t one = inChild(writeTurns);
    const pid_t two = inChild(writeTurns);
    for (const pid_t child : {one, two}) {
        int status = 0;
        ::waitpid(child, &status, 0);
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
    }
    const auto turns = f.open()->turns(f.chat);
    REQUIRE(turns);
    CHECK(turns->size() == 120);
    for (const TurnRow& turn : *turns) CHECK(turn.state == TurnState::Done);
}

TEST_CASE("a library that two processes open for the first time is made once") {
    for (int round = 0; round < 8; ++round) {
        TemporaryFolder folder;
        const auto make = [&folder] {
            auto library = Library::open({.dataDir = folder.path() / "data", .pdfHelper = {}});
            return library && (*library)->documents();
        };
        const pid_t one = inChild(make);
        const pid_t two = inChild(make);
        for (const pid_t child : {one, two}) {
            int status = 0;
            ::waitpid(child, &status, 0);
            CHECK(WEXITSTATUS(status) == 0);
        }
    }
}
