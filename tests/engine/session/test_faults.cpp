#include "engine/session/clean.h"
#include "support/faulty_file_system.h"

namespace carrel {

namespace {

using Fault = FaultyFileSystem::Fault;
using ReadFault = FaultyFileSystem::ReadFault;
using Keep = FaultyFileSystem::Keep;

const char* const kQuestion = "What is this?";

/// A clean reading with a chat's tail on disk, and what the chat's next answer is.
struct Chat : Clean {
    std::vector<PastTurn> history{{kQuestion, ""}};
    std::string next;

    explicit Chat(Tiers tiers) : Clean(with("k8v8"), tiers) {
        Door door(desk, model, kv);
        history[0].answer = door.answered(document, kQuestion).text;
        next = door.answered(document, "And then?", history).text;
    }
    std::vector<std::filesystem::path> allFiles() const {
        std::vector<std::filesystem::path> out;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(desk.root / "readings"))
            if (entry.is_regular_file() && entry.file_size() > 0 && entry.path().filename() != "CACHEDIR.TAG")
                out.push_back(std::filesystem::relative(entry.path(), desk.root));
        std::sort(out.begin(), out.end());
        return out;
    }
};

std::filesystem::path indexOf(const Desk& desk) {
    return desk.root / "readings" / "index.sqlite";
}

/// The folder of the only reading there is.
std::filesystem::path folderOf(const Desk& desk) {
    return desk.files(".seg").at(0).parent_path();
}

}  // namespace

TEST_CASE("A bit of any file of a reading flipped: the chat's next answer is the clean one, or refused by name") {
    for (const Tiers tiers : {Tiers::Resident, Tiers::Least}) {
        const Chat clean(tiers);
        const auto files = clean.allFiles();
        REQUIRE(files.size() == 5);  // index, segment, sketch, note, the tail's segment
        std::mt19937_64 random(11);
        for (const auto& file : files)
            for (int round = 0; round < 16; ++round) {
                CAPTURE(file.string());
                const Desk copy;
                clean.copyTo(copy);
                const auto size = std::filesystem::file_size(copy.root / file);
                // Half of them where headers are, of the file and (in segments) of the first batch and extent.
                const std::uint64_t at = round % 2 == 0
                                             ? random() % size
                                             : std::min<std::uint64_t>(size - 1, random() % 200 + round / 4 * 2048);
                CAPTURE(at);
                flip(copy.root / file, at, static_cast<unsigned>(random()));
                Recorder events;
                const auto opened = Compute::open({copy.root,
                                                   {},
                                                   1,
                                                   {},
                                                   clean.kv,
                                                   {.quotaBytes = UINT64_MAX, .leaveFreeBytes = 0},
                                                   BackendChoice::Cpu,
                                                   {}},
                                                  events);
                if (!opened) {  // an index of the future, or one that lies about its columns
                    CHECK(file.filename() == "index.sqlite");
                    CHECK((opened.error().code == Code::Unsupported || opened.error().code == Code::Corrupt));
                    CHECK_FALSE(opened.error().detail.empty());
                    continue;
                }
                must((*opened)->loadModel(clean.model));
                (*opened)->read({1, clean.document, {}, {}});
                (*opened)->ask({2, clean.document, {}, "chat", clean.history, "And then?", 24, {}});
                while ((*opened)->step()) {
                }
                if (events.failures.contains(1)) FAIL(events.failures[1].detail);
                if (events.failures.contains(2)) FAIL(events.failures[2].detail);
                CHECK(events.answers[2].text == clean.next);
                CHECK(events.readings[1].coverage.whole());
                CHECK(must((*opened)->verify(clean.document)).bad == 0);
            }
    }
}

TEST_CASE("An index that is lost, empty or no database is made from the segments: nothing is read again") {
    const Chat clean(Tiers::Least);
    for (int way = 0; way < 3; ++way) {
        CAPTURE(way);
        const Desk copy;
        clean.copyTo(copy);
        std::filesystem::remove(indexOf(copy));
        if (way > 0) std::ofstream(indexOf(copy)) << std::string(way == 1 ? 0 : 9000, 'x');
        Door door(copy, clean.model, clean.kv);
        CHECK(must(door.compute->storedReadings(clean.document)).size() == 1);
        const auto read = door.read(clean.document);
        door.drain();
        const ReadingSummary& got = door.events.readings[read];
        CHECK(got.coverage.whole());
        CHECK(got.reusedTokens >= got.coverage.tokensRead);
        CHECK(door.answered(clean.document, "And then?", clean.history).text == clean.next);
        const StoredCheck check = must(door.compute->verify(clean.document));
        CHECK(check.bad == 0);
        CHECK(check.groups > 0);
        CHECK(check.probeOk);
    }
}

TEST_CASE("A read that fails, is short or is wrong once while a tiered document is answered changes no answer") {
    for (const double keep : {-1.0, 1.0}) {
        const Clean clean(with("k8v8", keep), Tiers::Least);
        for (const auto fault : {ReadFault::Fails, ReadFault::Short, ReadFault::Flips}) {
            CAPTURE(keep);
            CAPTURE(int(fault));
            std::size_t struck = 0;
            for (std::size_t read = 0; read < 4000; read = read * 3 / 2 + 1) {  // the first are those of the opening
                CAPTURE(read);
                const Desk copy;
                clean.copyTo(copy);
                FaultyFileSystem files(realFileSystem());
                Door door(copy, clean.model, clean.kv, files);
                files.failRead(fault, read);
                const auto ticket = door.ask(clean.document, kQuestion);
                door.drain();
                struck += files.readStruck();
                CHECK(door.answer(ticket).text == clean.answers[0]);
                CHECK(must(door.compute->readingOf(clean.document)).coverage.whole());
                files.heal();
                CHECK(must(door.compute->verify(clean.document)).bad == 0);
            }
            CHECK(struck > 5);
        }
    }
}

TEST_CASE("Reads that fail for good in the middle of an answer end it with a reason, and it is whole when they work") {
    for (const double keep : {-1.0, 1.0}) {
        CAPTURE(keep);
        const Clean clean(with("k8v8", keep), Tiers::Least);
        const Desk copy;
        clean.copyTo(copy);
        FaultyFileSystem files(realFileSystem());
        Door door(copy, clean.model, clean.kv, files);
        door.readWhole(clean.document);
        int pieces = 0;
        door.events.onText = [&](std::uint64_t) {
            if (++pieces == 3) files.failReads(true);
        };
        const auto ticket = door.ask(clean.document, kQuestion);
        door.drain();
        REQUIRE(pieces >= 3);
        if (door.events.failures.contains(ticket)) {
            CHECK((door.failure(ticket) == Code::Corrupt || door.failure(ticket) == Code::Io));
            CHECK_FALSE(door.events.failures[ticket].detail.empty());
        } else {  // all that it chose was in memory
            CHECK(door.answer(ticket).text == clean.answers[0]);
        }
        CHECK(clean.answers[0].starts_with(door.events.texts[ticket]));
        door.events.onText = nullptr;
        files.heal();
        door.readWhole(clean.document);
        CHECK(door.answered(clean.document, kQuestion).text == clean.answers[0]);
        CHECK(must(door.compute->verify(clean.document)).bad == 0);
    }
}

TEST_CASE("No space or a failed sync at any step of a reading ends it by name; it goes on without reopening") {
    const Clean clean(with("k8v8"), Tiers::Least);
    for (const auto fault : {Fault::NoSpace, Fault::SyncFails}) {
        CAPTURE(int(fault));
        std::size_t failed = 0, step = 0;
        for (bool struck = true; struck || step < 30; ++step) {
            CAPTURE(step);
            REQUIRE(step < 200);
            const Desk copy;
            REQUIRE(copy.add(kText) == clean.document);
            FaultyFileSystem files(realFileSystem());
            Door door(copy, clean.model, clean.kv, files);
            files.failAt(fault, step);
            const auto read = door.read(clean.document);
            door.drain();
            struck = files.struck();
            files.heal();
            if (door.events.failures.contains(read)) {
                ++failed;
                CHECK(door.failure(read) == (fault == Fault::NoSpace ? Code::DiskFull : Code::Io));
                door.readWhole(clean.document);
            }
            CHECK(door.answered(clean.document, kQuestion).text == clean.answers[0]);
            CHECK(must(door.compute->verify(clean.document)).bad == 0);
        }
        CHECK(failed >= 4);
    }
}

TEST_CASE("A power cut at any step of reading and answering costs no answer, whatever of the unsynced bytes is left") {
    const Clean clean(with("k8v8"), Tiers::Least);
    bool struck = true;
    for (std::size_t step = 0; struck; step += 1 + step % 2) {
        CAPTURE(step);
        REQUIRE(step < 300);
        const Desk copy;
        REQUIRE(copy.add(kText) == clean.document);
        FaultyFileSystem files(realFileSystem());
        std::uint64_t before = 0;
        {
            Door door(copy, clean.model, clean.kv, files);
            files.failAt(Fault::Crash, step);
            const auto read = door.read(clean.document);
            door.drain();
            if (door.events.readings.contains(read)) static_cast<void>(door.ask(clean.document, kQuestion));
            door.drain();
            struck = files.struck();
            for (const auto& progress : door.events.progress[read]) before = progress.tokensDone;
        }
        files.powerCut(std::array{Keep::Nothing, Keep::EverySecond, Keep::All}[step % 3]);
        Door door(copy, clean.model, clean.kv, files);
        const auto read = door.read(clean.document);
        door.drain();
        REQUIRE(door.events.readings.contains(read));
        CHECK(door.events.readings[read].reusedTokens >= before);
        CHECK(door.answered(clean.document, kQuestion).text == clean.answers[0]);
        CHECK(must(door.compute->verify(clean.document)).bad == 0);
    }
}

TEST_CASE("A disk that is full while an answer is given costs its tail alone") {
    const Chat clean(Tiers::Least);
    const Desk copy;
    clean.copyTo(copy);
    FaultyFileSystem files(realFileSystem());
    {
        Door door(copy, clean.model, clean.kv, files);
        must(door.compute->forgetChat("chat"));
        files.setSpace(0);
        CHECK(door.answered(clean.document, kQuestion).text == clean.answers[0]);
        CHECK(door.answered(clean.document, "And then?", clean.history).text == clean.next);
        files.heal();
    }
    Door door(copy, clean.model, clean.kv, files);
    CHECK(door.answered(clean.document, "And then?", clean.history).text == clean.next);
}

TEST_CASE("Damage that cannot be mended for want of space fails its question by name, and not with half a document") {
    const Clean clean(with("k8v8"), Tiers::Least);
    const Desk copy;
    clean.copyTo(copy);
    const auto segment = copy.files(".seg").at(0);
    flip(segment, std::filesystem::file_size(segment) - 5000, 3);
    FaultyFileSystem files(realFileSystem());
    Door door(copy, clean.model, clean.kv, files);
    files.setSpace(0);
    const auto full = door.ask(clean.document, kQuestion);
    door.drain();
    CHECK_FALSE(door.events.answers.contains(full));
    CHECK(door.failure(full) == Code::DiskFull);
    files.heal();
    const auto ticket = door.ask(clean.document, kQuestion);
    door.drain();
    CHECK(door.answer(ticket).text == clean.answers[0]);
    CHECK(door.answer(ticket).coverage.whole());
}

TEST_CASE("Files of another model's, codec's or document's reading in a reading's place are never used") {
    const Clean clean(with("k8v8"), Tiers::Least);
    const auto otherModel = clean.desk.model(sessionSpec(2, 4096), "other.gguf");
    for (const std::string other : {"model", "codec", "document"}) {
        CAPTURE(other);
        const Desk copy, strange;
        clean.copyTo(copy);
        const auto document = strange.add(other == "document" ? someText(2, 3 * kTextBytes) : kText);
        {
            Door door(strange, other == "model" ? otherModel : clean.model, with(other == "codec" ? "k8v6" : "k8v8"));
            door.readWhole(document);
        }
        const auto own = folderOf(copy);
        for (const bool indexLost : {false, true}) {
            CAPTURE(indexLost);
            std::filesystem::remove_all(own);
            std::filesystem::copy(folderOf(strange), own, std::filesystem::copy_options::recursive);
            if (indexLost) std::filesystem::remove(indexOf(copy));
            {
                Door door(copy, clean.model, clean.kv);
                const auto read = door.read(clean.document);
                door.drain();
                CHECK(door.events.readings[read].reusedTokens == 0);
                CHECK(door.answered(clean.document, kQuestion).text == clean.answers[0]);
            }
            clean.checkMended(copy);
        }
    }
}

}  // namespace carrel
