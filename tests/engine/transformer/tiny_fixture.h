#pragma once

#include <algorithm>
#include <string>

#include "engine/compute/backend_under_test.h"
#include "engine/library/temporary_folder.h"
#include "models/tiny_model.h"
#include "transformer/model.h"
#include "transformer/pass.h"

namespace carrel {

/// Small, and no power of two where a kernel could rely on one.
inline TinyModelSpec smallSpec(const std::string& architecture, DType type) {
    TinyModelSpec spec;
    spec.architecture = architecture;
    spec.type = type;
    spec.headDim = 40;
    spec.ffn = 288;
    spec.slidingWindow = 50;
    return spec;
}

/// A tiny model on the backend that CARREL_ISA asks for.
struct Loaded {
    std::unique_ptr<Backend> backend;
    Model model;

    explicit Loaded(const TinyModelSpec& spec, unsigned threads = 2) : backend(backendUnderTest(threads)) {
        const TemporaryFolder folder;
        REQUIRE(writeTinyModel(folder.path() / "tiny.gguf", spec));
        const auto file = GgufFile::open(folder.path() / "tiny.gguf");
        REQUIRE(file);
        auto config = readConfig(*file);
        REQUIRE(config);
        auto loaded = Model::load(*file, std::move(*config), *backend);
        REQUIRE(loaded);
        model = std::move(*loaded);
    }
    std::size_t vocabulary() const { return model.config.vocabulary; }
    Workspace workspace(std::size_t rows) const {
        auto work = Workspace::make(*backend, model.config, rows);
        REQUIRE(work);
        return std::move(*work);
    }
};

inline std::vector<std::int32_t> someIds(unsigned seed, std::size_t count) {
    std::mt19937 random(seed);
    std::vector<std::int32_t> ids(count);
    for (auto& id : ids) id = static_cast<std::int32_t>(random() % 300);
    return ids;
}

}  // namespace carrel
