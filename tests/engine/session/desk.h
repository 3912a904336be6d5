#pragma once

#include <carrel/compute.h>
#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <string>

#include "base/file.h"
#include "compute/registry.h"
#include "document/document.h"
#include "engine/library/temporary_folder.h"
#include "models/tiny_model.h"
#include "session/reading.h"

namespace carrel {

/// A value, or a failed test that says why.
template <class T>
T must(Result<T> result) {
    if (!result) FAIL(result.error().where << ": " << result.error().detail);
    return std::move(*result);
}
inline void must(Status status) {
    if (!status) FAIL(status.error().where << ": " << status.error().detail);
}

/// Some 1.8 bytes a token under the tiny vocabulary.
inline std::string someText(unsigned seed, std::size_t bytes) {
    static constexpr const char* kWords[] = {"the",   "garden", "of", "this", "page",   "is",  "reading", "and",
                                             "stone", "in",     "a",  "long", "winter", "for", "every",   "river"};
    std::mt19937 random(seed);
    std::string text;
    while (text.size() < bytes) {
        if (random() % 40 == 0) text += "\n\n# Heading " + std::to_string(random() % 100) + "\n\n";
        text += kWords[random() % std::size(kWords)];
        text += random() % 9 == 0 ? ". " : " ";
    }
    return text;
}

inline TinyModelSpec sessionSpec(std::uint64_t seed = 1, std::uint32_t context = 2048) {
    TinyModelSpec spec;
    spec.seed = seed;
    spec.headDim = 32;
    spec.ffn = 256;
    spec.context = context;
    return spec;
}

/// A data root with documents in it, and models beside it.
struct Desk {
    TemporaryFolder folder;
    std::filesystem::path root = folder.path() / "data";

    Desk() { must(realFileSystem().makeDirectories(root)); }
    std::string add(const std::string& text) const {
        return must(DocumentStore(root).adopt(folder.write("new.md", text)));
    }
    std::filesystem::path model(const TinyModelSpec& spec = sessionSpec(),
                                const std::string& name = "tiny.gguf") const {
        must(writeTinyModel(folder.path() / name, spec));
        return folder.path() / name;
    }
    /// Files of readings that end so; tails apart.
    std::vector<std::filesystem::path> files(const std::string& extension) const {
        std::vector<std::filesystem::path> out;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "readings"))
            if (entry.is_regular_file() && entry.path().extension() == extension &&
                entry.path().string().find("/tails/") == std::string::npos)
                out.push_back(entry.path());
        std::sort(out.begin(), out.end());
        return out;
    }
};

inline void flip(const std::filesystem::path& path, std::uint64_t at, unsigned bit) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int old = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(old ^ 1 << bit % 8));
    file.close();
    REQUIRE(file);
}

/// All there is of a document's KV: codes, rows (or f16) of every group, and the unfinished group. Means apart: small
/// budgets do without.
struct KvBytes {
    std::vector<std::byte> all, means;
    bool operator==(const KvBytes& other) const {
        return all == other.all && (means == other.means || means.empty() || other.means.empty());
    }
};
inline KvBytes kvBytes(Backend& backend, DocumentKv& kv, const KvSequence& rest) {
    KvBytes found;
    std::vector<std::byte>& out = found.all;
    const auto add = [&](const void* data, std::size_t bytes) {
        const auto* from = static_cast<const std::byte*>(data);
        out.insert(out.end(), from, from + bytes);
    };
    const KvShape shape = kv.shape();
    const std::uint32_t groups = kv.tokens() / kGroupTokens;
    const std::size_t d = shape.headDim, rowsUsed = 32 * d + 64 * valueBlocks(shape.headDim);
    for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
        if (kv.codec() != KvCodec::F16)
            for (const SketchView& view : kv.sketch(layer)) {
                REQUIRE(view.groups == groups);
                add(view.codes, groups * codesBytes(shape.headDim));
                if (view.valueMeans != nullptr)
                    found.means.insert(found.means.end(), view.valueMeans,
                                       view.valueMeans + groups * valueMeansBytes(shape.headDim));
            }
        std::vector<std::vector<std::byte>> heads(shape.kvHeads);  // windows must not show in the order
        for (std::uint32_t first = 0; first < groups;) {
            const std::uint32_t count = std::min(kv.windowGroups(), groups - first);
            const auto runs = must(kv.window(layer, first, count));
            for (std::uint32_t head = 0; head < shape.kvHeads; ++head) {
                std::swap(out, heads[head]);
                for (const KvRun& run : runs[head])
                    if (run.keys != nullptr) {
                        add(run.keys, run.tokens * d * 2);
                        add(run.values, run.tokens * d * 2);
                    } else {
                        for (const KvPick& pick : run.picks) {
                            REQUIRE(pick.tokens == 0xFFFF);
                            add(pick.rows, rowsUsed);
                            add(pick.grid, 4 * d);
                        }
                    }
                std::swap(out, heads[head]);
            }
            first += count;
        }
        for (const auto& head : heads) add(head.data(), head.size());
    }
    if (rest.tokens() > kv.tokens()) {
        const auto block = must(rest.gather(backend, kv.tokens(), MemoryKind::Host));
        add(block->payload().data(), block->payload().size());
    }
    return found;
}

/// Budgets as small as they may be, to some KiB, or resident.
enum class Tiers { Resident, Least };

/// What a reading needs, without the door: a backend, a model, a store.
struct Bench {
    std::unique_ptr<Backend> backend;
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<ReadingStore> store;
    DocumentStore documents;
    Workspace work;
    KvSettings kv;

    Bench(const std::filesystem::path& root, const std::filesystem::path& modelFile, std::size_t rows = 64,
          KvSettings settings = {})
        : backend(must(makeCpuBackend("", 1))),
          model(must(LoadedModel::load(modelFile, *backend, root))),
          store(must(ReadingStore::open(realFileSystem(), root))),
          documents(root),
          work(must(Workspace::make(*backend, model->model().config, rows))),
          kv(std::move(settings)) {
        if (kv.deviceBytes == 0) kv.deviceBytes = kv.hostBytes = std::uint64_t{256} << 20;
    }
    Result<std::unique_ptr<Reading>> tryOpen(const std::string& document) {
        return Reading::open(*model, *store, must(documents.load(document, {})), kv);
    }
    std::unique_ptr<Reading> open(const std::string& document) { return must(tryOpen(document)); }
    Result<TokenReading> tryOpen(const std::vector<std::int32_t>& ids) {
        return TokenReading::open(*model, *store, {std::string(64, 'a'), model->model().fingerprint, "test", {}}, ids,
                                  kv, false);
    }
    TokenReading open(const std::vector<std::int32_t>& ids) { return must(tryOpen(ids)); }
    void finish(Reading& reading) {
        while (must(reading.step(work))) {
        }
        CHECK(reading.complete());
    }
    void finish(TokenReading& reading, std::uint32_t batch) {
        while (!reading.complete()) {
            must(reading.beginBatch(work, batch));
            while (must(reading.step())) {
            }
            must(reading.endBatch());
        }
    }
    template <class AnyReading>
    KvBytes bytes(const AnyReading& reading) const {
        return kvBytes(*backend, reading.kv(), reading.rest());
    }

    /// The least budgets that a document, or ids, can be opened with. No handle of it is open.
    template <class Of>
    void useLeast(const Of& of) {
        kv.deviceBytes = kv.hostBytes = 1;
        const auto refused = tryOpen(of);
        REQUIRE(!refused);
        REQUIRE(refused.error().code == Code::NoMemory);
        unsigned long device = 0, host = 0;
        REQUIRE(std::sscanf(refused.error().detail.c_str(), "needs at least %lu MiB of device and %lu MiB", &device,
                            &host) == 2);
        kv.deviceBytes = std::max<std::uint64_t>(device << 20, 1), kv.hostBytes = host << 20;
        REQUIRE(tryOpen(of));
        for (std::uint64_t* budget : {&kv.deviceBytes, &kv.hostBytes}) {
            std::uint64_t works = *budget, fails = *budget - std::min(*budget, std::uint64_t{1} << 20);
            while (works - fails > 16384) {
                *budget = (works + fails) / 2;
                (tryOpen(of) ? works : fails) = *budget;
            }
            *budget = works;
        }
        kv.hostBytes += 65536;  // many small batches need some memory more than is planned for when nothing is read
    }
    template <class Of>
    void use(Tiers tiers, const Of& of) {
        if (tiers == Tiers::Least)
            useLeast(of);
        else
            kv.deviceBytes = kv.hostBytes = std::uint64_t{256} << 20;
    }
};

/// Every codec on every kind of tiers.
template <class F>
void forEveryWay(const F& check) {
    for (const char* codec : {"f16", "k8v8", "k8v4"})
        for (const Tiers tiers : {Tiers::Resident, Tiers::Least}) {
            const std::string way = std::string(codec) + (tiers == Tiers::Least ? ", least budgets" : ", resident");
            CAPTURE(way);
            KvSettings settings;
            settings.codec = codec;
            check(settings, tiers);
        }
}

/// Counts every ticket's ends and keeps what came; `on…` run inside the event.
struct Recorder : EventSink {
    std::map<std::uint64_t, int> ends;
    std::map<std::uint64_t, Answer> answers;
    std::map<std::uint64_t, Error> failures;
    std::map<std::uint64_t, ReadingSummary> readings;
    std::map<std::uint64_t, std::string> texts;
    std::map<std::uint64_t, std::vector<TurnStage>> stages;
    std::map<std::uint64_t, std::vector<ReadingProgress>> progress;
    std::vector<std::string> evicted;                                                         // documents
    std::map<std::uint64_t, std::vector<std::pair<std::uint32_t, std::uint32_t>>> questions;  // done, total
    std::function<void(std::uint64_t)> onProgress, onText;
    std::function<void(std::uint64_t, TurnStage)> onStage;

    void readingProgress(std::uint64_t ticket, const ReadingProgress& now) override {
        CHECK(ends[ticket] == 0);
        progress[ticket].push_back(now);
        if (onProgress) onProgress(ticket);
    }
    void readingEnded(std::uint64_t ticket, const Result<ReadingSummary>& summary) override {
        ++ends[ticket];
        if (summary)
            readings[ticket] = *summary;
        else
            failures[ticket] = summary.error();
    }
    void readingEvicted(const std::string& document, std::uint64_t) override { evicted.push_back(document); }
    void turnStage(std::uint64_t ticket, TurnStage stage) override {
        CHECK(ends[ticket] == 0);
        stages[ticket].push_back(stage);
        if (onStage) onStage(ticket, stage);
    }
    void questionProgress(std::uint64_t ticket, std::uint32_t done, std::uint32_t total) override {
        CHECK(ends[ticket] == 0);
        questions[ticket].emplace_back(done, total);
    }
    void turnText(std::uint64_t ticket, const std::string& text) override {
        CHECK(ends[ticket] == 0);
        texts[ticket] += text;
        if (onText) onText(ticket);
    }
    void answered(std::uint64_t ticket, const Answer& answer) override {
        ++ends[ticket];
        answers[ticket] = answer;
    }
    void turnFailed(std::uint64_t ticket, const Error& error) override {
        ++ends[ticket];
        failures[ticket] = error;
    }
};

}  // namespace carrel
