#pragma once

#include <carrel/compute.h>
#include <doctest/doctest.h>

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
};

/// What reading.h needs, without the door: a backend, a model, a store.
struct Bench {
    std::unique_ptr<Backend> backend;
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<ReadingStore> store;
    DocumentStore documents;
    Workspace work;

    Bench(const std::filesystem::path& root, const std::filesystem::path& modelFile, std::size_t rows = 64)
        : backend(must(makeCpuBackend("", 1))),
          model(must(LoadedModel::load(modelFile, *backend))),
          store(must(ReadingStore::open(realFileSystem(), root))),
          documents(root),
          work(must(Workspace::make(*backend, model->model().config, rows))) {}
    std::unique_ptr<Reading> open(const std::string& document) {
        return must(Reading::open(*model, *store, must(documents.load(document, {}))));
    }
    void finish(Reading& reading) {
        while (must(reading.step(work))) {
        }
        CHECK(reading.complete());
    }
    std::vector<std::byte> kv(const Reading& reading) const {
        const auto block = must(reading.sequence().gather(*backend, 0));
        return {block->payload().begin(), block->payload().end()};
    }
};

/// Counts every ticket's ends and keeps what came; `on…` run inside the event.
struct Recorder : EventSink {
    std::map<std::uint64_t, int> ends;
    std::map<std::uint64_t, Answer> answers;
    std::map<std::uint64_t, Error> failures;
    std::map<std::uint64_t, ReadingSummary> readings;
    std::map<std::uint64_t, std::string> texts;
    std::map<std::uint64_t, std::vector<TurnStage>> stages;
    std::map<std::uint64_t, std::vector<ReadingProgress>> progress;
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
    void turnStage(std::uint64_t ticket, TurnStage stage) override {
        CHECK(ends[ticket] == 0);
        stages[ticket].push_back(stage);
        if (onStage) onStage(ticket, stage);
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
