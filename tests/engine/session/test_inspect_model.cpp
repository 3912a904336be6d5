#include <cstring>

#include "engine/session/desk.h"

namespace carrel {

namespace {

std::vector<std::byte> some(std::mt19937& random, std::size_t count) {
    std::vector<std::byte> bytes(count);
    for (auto& b : bytes) b = static_cast<std::byte>(random());
    return bytes;
}

Code codeOf(const std::filesystem::path& file) {
    const auto info = inspectModel(file);
    REQUIRE_FALSE(info);
    CHECK_FALSE(info.error().where.empty());
    return info.error().code;
}

}  // namespace

TEST_CASE("A model that can run says its name, architecture, sizes and window") {
    const Desk desk;
    const auto file = desk.model();
    const ModelInfo info = must(inspectModel(file));
    CHECK(info.file == file);
    CHECK(info.name == "Tiny random model");
    CHECK(info.architecture == "llama");
    CHECK(info.fileBytes == std::filesystem::file_size(file));
    CHECK(info.kvBytesPerToken == 2 * 2 * 2 * 32 * 2);
    CHECK(info.window == 2048);
    CHECK(info.chatTemplate == "chatml");
    TinyModelSpec spec = sessionSpec();
    spec.chatTemplate = "{{ messages }}";
    const auto other = desk.folder.path() / "other.gguf";
    must(writeTinyModel(other, spec));
    CHECK(must(inspectModel(other)).chatTemplate == "plain");
}

TEST_CASE("Files that are no models are NotAModel, and what is not there NotFound") {
    const Desk desk;
    CHECK(codeOf(desk.folder.write("text.gguf", "Call me Ishmael. Some years ago")) == Code::NotAModel);
    CHECK(codeOf(desk.folder.write("pdf.gguf", "%PDF-1.7\n")) == Code::NotAModel);
    CHECK(codeOf(desk.folder.path() / "missing.gguf") == Code::NotFound);
    const Code empty = codeOf(desk.folder.write("empty.gguf", ""));
    CHECK((empty == Code::NotAModel || empty == Code::Truncated));
    CHECK_FALSE(inspectModel(desk.root));  // a folder
}

TEST_CASE("A model that ends early is refused at every length") {
    const Desk desk;
    TinyModelSpec spec = sessionSpec();
    spec.layers = 1;
    const auto whole = tinyModel(spec);
    const auto file = desk.folder.path() / "cut.gguf";
    for (std::size_t length = 0; length + 32 < whole.size(); length += length < 200 ? 1 : length < 12'000 ? 61 : 9973) {
        CAPTURE(length);
        desk.folder.write("cut.gguf", std::string(reinterpret_cast<const char*>(whole.data()), length));
        const Code code = codeOf(file);
        CHECK((code == Code::Truncated || code == Code::NotAModel));
    }
    desk.folder.write("cut.gguf", std::string(reinterpret_cast<const char*>(whole.data()), whole.size()));
    CHECK(inspectModel(file));
}

TEST_CASE("Random bytes, with and without a model's first bytes before them, are refused") {
    const Desk desk;
    std::mt19937 random(1);
    const auto whole = tinyModel(sessionSpec());
    for (int round = 0; round < 200; ++round) {
        CAPTURE(round);
        auto bytes = some(random, random() % 5000);
        const std::size_t head = std::min<std::size_t>(bytes.size(), round % 4 == 0   ? 0
                                                                     : round % 4 == 1 ? 4
                                                                     : round % 4 == 2 ? 24
                                                                                      : random() % 3000);
        std::copy_n(whole.begin(), head, bytes.begin());
        desk.folder.write("random.gguf", std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
        CHECK_FALSE(inspectModel(desk.folder.path() / "random.gguf"));
    }
}

TEST_CASE("A model of an architecture that Carrel does not run is Unsupported, by its name") {
    const Desk desk;
    auto bytes = tinyModel(sessionSpec());
    const std::string_view name = "llama";
    const auto at = std::search(bytes.begin(), bytes.end(), std::as_bytes(std::span(name)).begin(),
                                std::as_bytes(std::span(name)).end());
    std::memcpy(&*at, "mamba", 5);
    must(writeFileAtomically(desk.folder.path() / "mamba.gguf", bytes));
    const auto info = inspectModel(desk.folder.path() / "mamba.gguf");
    REQUIRE_FALSE(info);
    CHECK(info.error().code == Code::Unsupported);
    CHECK(info.error().detail.find("mamba") != std::string::npos);
}

TEST_CASE(
    "Wrong bytes anywhere in a model's header end in an answer, not in a crash, and never in a model that then fails "
    "to load by crashing") {
    const Desk desk;
    const auto whole = tinyModel(sessionSpec());
    std::mt19937 random(2);
    for (int round = 0; round < 150; ++round) {
        auto bytes = whole;
        for (int i = 0; i < 1 + round % 3; ++i) bytes[random() % 14'000] = static_cast<std::byte>(random());
        must(writeFileAtomically(desk.folder.path() / "wrong.gguf", bytes));
        Recorder events;
        if (!inspectModel(desk.folder.path() / "wrong.gguf")) continue;
        const auto backend = must(makeCpuBackend("", 1));
        static_cast<void>(static_cast<bool>(LoadedModel::load(desk.folder.path() / "wrong.gguf", *backend)));
    }
}

}  // namespace carrel
