#pragma once

#include "engine/session/desk.h"
#include "session/engine.h"

namespace carrel {

constexpr std::size_t kTextBytes = 900;  // some 500 tokens: a batch of 128, and the rest

/// The door, its events, and requests with few words.
struct Door {
    Recorder events;
    std::unique_ptr<Compute> compute;
    std::uint64_t last = 0;

    /// The disk's own room is no matter of these tests.
    explicit Door(const Desk& desk, const KvSettings& kv = {}, FileSystem& files = realFileSystem(),
                  DiskLimits disk = {.quotaBytes = UINT64_MAX, .leaveFreeBytes = 0})
        : compute(must(openCompute({desk.root, {}, 1, {}, kv, disk, BackendChoice::Cpu, {}}, events, files))) {}
    Door(const Desk& desk, const std::filesystem::path& model, const KvSettings& kv = {},
         FileSystem& files = realFileSystem())
        : Door(desk, kv, files) {
        static_cast<void>(must(compute->loadModel(model)));
    }

    std::uint64_t read(const std::string& document, std::stop_token stop = {}) {
        compute->read({++last, document, {}, std::move(stop)});
        return last;
    }
    std::uint64_t ask(const std::string& document, const std::string& question, std::vector<PastTurn> history = {},
                      std::stop_token stop = {}, const std::string& chat = "chat", std::uint32_t maxTokens = 24) {
        compute->ask({++last, document, {}, chat, std::move(history), question, maxTokens, std::move(stop)});
        return last;
    }
    bool ended(std::uint64_t ticket) { return events.ends[ticket] > 0; }
    void drain() {
        std::size_t steps = 0;
        while (compute->step()) REQUIRE(++steps < 1'000'000);
        for (std::uint64_t ticket = 1; ticket <= last; ++ticket) {
            CAPTURE(ticket);
            CHECK(events.ends[ticket] == 1);
        }
    }
    Answer answer(std::uint64_t ticket) {
        if (events.failures.contains(ticket)) FAIL(events.failures[ticket].detail);
        REQUIRE(events.answers.contains(ticket));
        CHECK(events.answers[ticket].text.starts_with(
            events.texts[ticket]));  // finish() may add the end of a cut character
        return events.answers[ticket];
    }
    Code failure(std::uint64_t ticket) {
        REQUIRE(events.failures.contains(ticket));
        return events.failures[ticket].code;
    }
    Answer answered(const std::string& document, const std::string& question, std::vector<PastTurn> history = {},
                    const std::string& chat = "chat") {
        const auto ticket = ask(document, question, std::move(history), {}, chat);
        drain();
        return answer(ticket);
    }
    void readWhole(const std::string& document) {
        const auto ticket = read(document);
        drain();
        if (events.failures.contains(ticket)) FAIL(events.failures[ticket].detail);
        CHECK(events.readings[ticket].coverage.whole());
    }
};

inline KvBytes kvOf(const Desk& desk, const std::filesystem::path& model, const std::string& document,
                    const KvSettings& kv = {}) {
    Bench bench(desk.root, model, 64, kv);
    const auto reading = bench.open(document);
    CHECK((reading->complete() || kv.codec == "f16"));  // whose unfinished group is read again
    bench.finish(*reading);
    return bench.bytes(*reading);
}

/// The least budgets that a document can be read with.
inline KvSettings leastOf(const Desk& desk, const std::filesystem::path& model, const std::string& document,
                          const KvSettings& kv = {}) {
    Bench bench(desk.root, model, 64, kv);
    bench.useLeast(document);
    return bench.kv;
}

}  // namespace carrel
