#pragma once

#include "engine/session/door.h"

namespace carrel {

inline const std::string kText = someText(1, 3 * kTextBytes);

/// A document that is read, and what its answers are when nothing is damaged.
struct Clean {
    Desk desk;
    std::filesystem::path model = desk.model(sessionSpec(1, 4096));
    std::string document = desk.add(kText);
    KvSettings kv;
    std::vector<std::string> answers;
    KvBytes bytes;

    Clean(KvSettings settings, Tiers tiers) : kv(std::move(settings)) {
        if (tiers == Tiers::Least) kv = leastOf(desk, model, document, kv);
        {
            Door door(desk, model, kv);
            door.readWhole(document);
            for (const char* question : {"What is this?", "Who?", "Why?"})
                answers.push_back(door.answered(document, question).text);
            must(door.compute->forgetChat("chat"));
        }
        bytes = kvOf(desk, model, document, resident());
    }
    KvSettings resident() const {
        KvSettings out = kv;
        out.deviceBytes = out.hostBytes = 0;
        return out;
    }
    /// A data root of its own with the same reading.
    void copyTo(const Desk& copy) const {
        std::filesystem::remove_all(copy.root);
        std::filesystem::copy(desk.root, copy.root, std::filesystem::copy_options::recursive);
    }
    /// Whole, as it was, and everything on disk too.
    void checkMended(const Desk& copy) const {
        CHECK(kvOf(copy, model, document, resident()) == bytes);
        Door door(copy, model, kv);
        CHECK(must(door.compute->verify(document)).bad == 0);
        CHECK(door.answered(document, "What is this?").text == answers[0]);
    }
};

inline void flipSomewhere(const Desk& desk, const std::string& extension, std::mt19937_64& random) {
    const auto files = desk.files(extension);
    REQUIRE(!files.empty());
    const auto& file = files[random() % files.size()];
    const auto size = std::filesystem::file_size(file);
    flip(file, size / 8 + random() % (size - size / 8), static_cast<unsigned>(random()));
}

inline KvSettings with(const std::string& codec, double keep = -1) {
    KvSettings kv;
    kv.codec = codec;
    kv.keep = keep;
    return kv;
}

}  // namespace carrel
