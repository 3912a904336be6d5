#include <carrel/data_folder.h>
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <span>
#include <string>

#include "base/file.h"
#include "engine/library/temporary_folder.h"
#include "library/presence.h"

using namespace carrel;
namespace fs = std::filesystem;

namespace {

const auto kQuiet = [](std::uint64_t, std::uint64_t) {};

/// Files below a folder and what is in them; the lock, which is nobody's data, apart.
std::map<std::string, std::string> contents(const fs::path& root) {
    std::map<std::string, std::string> out;
    std::error_code none;
    for (fs::recursive_directory_iterator at(root, none), end; !none && at != end; ++at)
        if (at->is_regular_file() && at->path().filename() != "library.lock")
            out[fs::relative(at->path(), root).string()] = *readFile(at->path(), 1 << 26);
    return out;
}

/// A data folder with some of everything, a place for another, and the file that remembers which is used.
struct Home {
    TemporaryFolder folder;
    fs::path from = folder.path() / "old", to = folder.path() / "disk" / "carrel",
             file = folder.path() / "config/place";
    std::map<std::string, std::string> data;

    Home() {
        const std::string large(3'000'000, 'k');
        for (const auto& [name, text] : std::map<std::string, std::string>{{"library.sqlite", "rows"},
                                                                           {"library.sqlite-wal", "newest rows"},
                                                                           {"window.ini", "[General]"},
                                                                           {"documents/aa/original", "%PDF"},
                                                                           {"documents/aa/text.v1", ""},
                                                                           {"readings/bb/kv-000.seg", large},
                                                                           {"readings/bb/tails/cc/kv-000.seg", "t"},
                                                                           {"profiles/m.json", "{}"}}) {
            write(from / name, text);
        }
        data = contents(from);
        write(from / "models/m.gguf", "weights");
    }
    static void write(const fs::path& path, const std::string& text) {
        REQUIRE(realFileSystem().makeDirectories(path.parent_path()));
        REQUIRE(writeFileAtomically(path, std::as_bytes(std::span(text))));
    }
    Status move(std::stop_token stop = {}) const { return moveDataFolder(file, from, to, kQuiet, std::move(stop)); }
    fs::path inUse() const { return *openDataPlace(file, from); }
    void checkOnlyHere(const fs::path& here) const {
        CHECK(inUse() == here);
        auto found = contents(here);
        found.erase("models/m.gguf");
        CHECK(found == data);
        const auto other = contents(here == from ? to : from);
        CHECK(other.size() == (here == from ? 0 : 1));  // the models
        CHECK(readDataPlace(file)->leftover.empty());
    }
};

}  // namespace

TEST_CASE("a move copies all but the models, switches and removes what it moved") {
    const Home home;
    CHECK(home.inUse() == home.from);
    std::uint64_t last = 0, all = 0;
    REQUIRE(moveDataFolder(home.file, home.from, home.to,
                           [&](std::uint64_t done, std::uint64_t total) {
                               CHECK(done >= last);
                               last = done;
                               all = total;
                           },
                           {}));
    CHECK(last == all);
    CHECK(all > 6'000'000);
    CHECK(fs::status(home.to).permissions() == fs::perms::owner_all);
    home.checkOnlyHere(home.to);
    CHECK(*readFile(home.from / "models/m.gguf", 100) == "weights");
}

TEST_CASE("killed at any point, a move has lost nothing and the next start tidies up") {
    int kills = 0;
    for (int at = 1;; ++at) {
        const Home home;
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            int calls = 0;
            const auto moved = moveDataFolder(home.file, home.from, home.to,
                                              [&](std::uint64_t, std::uint64_t) {
                                                  if (++calls == at) ::raise(SIGKILL);
                                              },
                                              {});
            ::_exit(moved ? 0 : 1);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        if (WIFEXITED(status)) {
            CHECK(WEXITSTATUS(status) == 0);
            break;
        }
        ++kills;
        CAPTURE(at);
        const auto place = readDataPlace(home.file);
        REQUIRE(place);
        home.checkOnlyHere(place->data.empty() ? home.from : place->data);
        // And it can be done again.
        const fs::path here = home.inUse();
        if (here == home.from) {
            REQUIRE(home.move());
            home.checkOnlyHere(home.to);
        }
    }
    CHECK(kills > 25);
}

TEST_CASE("a move that is stopped, or whose copy differs, leaves the old in use and no copy") {
    const Home home;
    std::stop_source stop;
    const auto stopped = moveDataFolder(
        home.file, home.from, home.to,
        [&](std::uint64_t done, std::uint64_t) {
            if (done > 1'500'000) stop.request_stop();
        },
        stop.get_token());
    REQUIRE(!stopped);
    CHECK(stopped.error().code == Code::Cancelled);
    home.checkOnlyHere(home.from);

    const auto spoilt = moveDataFolder(home.file, home.from, home.to,
                                       [&](std::uint64_t done, std::uint64_t all) {
                                           if (done < all / 2) return;
                                           const std::string other(3'000'000, 'x');
                                           if (fs::exists(home.to / "readings/bb/kv-000.seg"))
                                               Home::write(home.to / "readings/bb/kv-000.seg", other);
                                       },
                                       {});
    REQUIRE(!spoilt);
    CHECK(spoilt.error().code == Code::Corrupt);
    home.checkOnlyHere(home.from);
}

TEST_CASE("where a move cannot go nothing is touched") {
    const Home home;
    const auto refused = [&](const fs::path& to) {
        const auto moved = moveDataFolder(home.file, home.from, to, kQuiet, {});
        REQUIRE(!moved);
        return moved.error().code;
    };
    CHECK(refused(home.from) == Code::InvalidArgument);
    CHECK(refused(home.from / "documents" / "new") == Code::InvalidArgument);
    CHECK(refused(home.folder.path()) == Code::InvalidArgument);
    Home::write(home.folder.path() / "full" / "letter.txt", "mine");
    CHECK(refused(home.folder.path() / "full") == Code::InvalidArgument);
    CHECK(*readFile(home.folder.path() / "full" / "letter.txt", 100) == "mine");
    {
        auto other = Presence::enter(home.from / "library.lock");
        REQUIRE(other);
        other->letOthersIn();
        CHECK(refused(home.to) == Code::Busy);
    }
    home.checkOnlyHere(home.from);
}

TEST_CASE("what is not Carrel's stays in a folder that a move has left") {
    const Home home;
    Home::write(home.from / "mine" / "notes.txt", "written by hand");
    REQUIRE(home.move());
    // Moved with the rest; what comes later is not.
    CHECK(*readFile(home.to / "mine" / "notes.txt", 100) == "written by hand");
    Home::write(home.from / "later.txt", "new");
    DataPlace place = *readDataPlace(home.file);
    CHECK(place.leftover.empty());
    CHECK(home.inUse() == home.to);
    CHECK(*readFile(home.from / "later.txt", 100) == "new");
}

TEST_CASE("a place that is not there is an error, and nothing is made in its stead") {
    const Home home;
    REQUIRE(home.move());
    fs::rename(home.to, home.folder.path() / "unplugged");
    const auto opened = openDataPlace(home.file, home.from);
    REQUIRE(!opened);
    CHECK(opened.error().code == Code::NotFound);
    CHECK(!fs::exists(home.to));
    Home::write(home.file, "something else");
    CHECK(openDataPlace(home.file, home.from).error().code == Code::Corrupt);
}
