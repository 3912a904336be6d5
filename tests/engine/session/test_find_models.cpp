// A tree of folders as other programs leave it; whatever is in it comes from somewhere.
#include <carrel/models.h>

#include <algorithm>
#include <map>

#include "engine/session/desk.h"

namespace carrel {

namespace {

namespace fs = std::filesystem;

struct Home {
    TemporaryFolder folder;
    fs::path root = folder.path();

    fs::path model(const fs::path& name, TinyModelSpec spec = {}) const {
        fs::create_directories((root / name).parent_path());
        spec.layers = 1;
        must(writeTinyModel(root / name, spec));
        return root / name;
    }
    fs::path text(const fs::path& name, const std::string& words) const {
        fs::create_directories((root / name).parent_path());
        return folder.write(name.string(), words);
    }
    std::vector<FoundModel> find(const SearchLimits& limits = {}) const {
        const std::map<std::string, std::string> set{{"HOME", root.string()}, {"XDG_DATA_DIRS", root / "usr/share"}};
        auto places = usualModelPlaces([&](const char* name) {
            const auto found = set.find(name);
            return found == set.end() ? std::string() : found->second;
        });
        std::erase_if(places,
                      [&](const ModelPlace& place) { return !place.folder.string().starts_with(root.string()); });
        places.push_back({root / "Downloads", ModelOrigin::Downloads});
        return findModels(places, {}, limits);
    }
};

const FoundModel& named(const std::vector<FoundModel>& models, const std::string& name) {
    const auto found = std::ranges::find(models, name, &FoundModel::name);
    REQUIRE_MESSAGE(found != models.end(), name);
    return *found;
}

std::string refusal(const FoundModel& model) {
    REQUIRE_FALSE(model.info);
    CHECK(model.info.error().code == Code::Unsupported);
    return model.info.error().detail;
}

bool has(const std::string& text, const char* word) {
    return text.find(word) != std::string::npos;
}

}  // namespace

TEST_CASE("Models of other programs are found where these keep them, and are used there") {
    const Home home;
    const std::pair<const char*, ModelOrigin> all[] = {
        {".local/share/carrel/models/own.gguf", ModelOrigin::Carrel},
        {"usr/share/carrel/models/packaged.gguf", ModelOrigin::Package},
        {".lmstudio/models/maker/name-GGUF/studio.gguf", ModelOrigin::LmStudio},
        {".cache/lm-studio/models/maker/name/older.gguf", ModelOrigin::LmStudio},
        {".local/share/nomic.ai/GPT4All/four.gguf", ModelOrigin::Gpt4All},
        {".local/share/Jan/data/llamacpp/models/jan-nano/model.gguf", ModelOrigin::Jan},
        {"jan/models/old/old-jan.GGUF", ModelOrigin::Jan},
        {".unsloth/studio/exports/run/tuned.gguf", ModelOrigin::Unsloth},
        {".cache/llama.cpp/cached.gguf", ModelOrigin::LlamaCpp},
        {"Downloads/folder/loose.gguf", ModelOrigin::Downloads},
    };
    std::uint64_t seed = 0;
    for (const auto& [name, origin] : all) {
        TinyModelSpec spec;
        spec.seed = ++seed;
        home.model(name, spec);
    }
    home.text("Downloads/notes.txt", "no model");
    home.text("Downloads/half.gguf.part", "not whole yet");
    const auto models = home.find();
    CHECK(models.size() == std::size(all));
    for (const auto& [name, origin] : all) {
        CAPTURE(name);
        const auto found = std::ranges::find(models, home.root / name, &FoundModel::file);
        REQUIRE(found != models.end());
        CHECK(found->origin == origin);
        CHECK(found->info);
    }
    CHECK(named(models, "jan-nano").file.filename() == "model.gguf");
}

TEST_CASE("Ollama's models are found by their manifests, under the names that its own list has") {
    const Home home;
    const std::string digest(64, 'a'), other(64, 'b'), missing(64, 'c');
    const auto manifest = [&](const fs::path& name, const std::string& layers) {
        home.text(".ollama/models/manifests" / name, R"({"schemaVersion":2,"layers":[)" + layers + "]}");
    };
    const auto weights = [](const std::string& hex) {
        return R"({"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" + hex + R"(","size":1})";
    };
    home.model(".ollama/models/blobs/sha256-" + digest);
    TinyModelSpec spec;
    spec.seed = 2;
    home.model(".ollama/models/blobs/sha256-" + other, spec);
    manifest("registry.ollama.ai/library/qwen2.5/0.5b",
             R"({"mediaType":"application/vnd.ollama.image.license","digest":"sha256:00"},)" + weights(digest));
    manifest("hf.co/maker/name-GGUF/Q4_K_M", weights(other));
    manifest("registry.ollama.ai/library/gone/latest", weights(missing));
    manifest("registry.ollama.ai/library/evil/latest", weights("../../../../etc/passwd" + std::string(42, '0')));
    manifest("registry.ollama.ai/library/odd/latest",
             R"(7,{"mediaType":3},{"mediaType":"application/vnd.ollama.image.model","digest":[]})");
    home.text(".ollama/models/manifests/registry.ollama.ai/library/broken/latest", "{\"layers\":");
    const auto models = home.find();
    REQUIRE(models.size() == 2);
    CHECK(named(models, "qwen2.5:0.5b").file == home.root / (".ollama/models/blobs/sha256-" + digest));
    CHECK(named(models, "qwen2.5:0.5b").origin == ModelOrigin::Ollama);
    CHECK(named(models, "hf.co/maker/name-GGUF:Q4_K_M").info);
}

TEST_CASE("A file is one model, however many links and names lead to it, and loops of links end") {
    const Home home;
    const auto blob = home.model(".cache/huggingface/hub/models--maker--name/blobs/0123abcd");
    const fs::path snapshots = home.root / ".cache/huggingface/hub/models--maker--name/snapshots";
    for (const char* revision : {"aaaa", "bbbb"}) {
        fs::create_directories(snapshots / revision);
        fs::create_symlink("../../blobs/0123abcd", snapshots / revision / "name-q4.gguf");
    }
    fs::create_directory_symlink(home.root / ".cache", snapshots / "loop");
    fs::create_directory_symlink(".", snapshots / "self");
    fs::create_directories(home.root / "Downloads");
    fs::create_hard_link(blob, home.root / "Downloads/again.gguf");
    fs::create_symlink("nowhere.gguf", home.root / "Downloads/dangling.gguf");
    fs::create_symlink("round.gguf", home.root / "Downloads/round.gguf");
    fs::create_directory_symlink(home.root, home.root / "Downloads/home");
    const auto models = home.find();
    REQUIRE(models.size() == 1);
    CHECK(models[0].name == "name-q4");
    CHECK(models[0].origin == ModelOrigin::HuggingFace);
    CHECK(models[0].file == snapshots / "aaaa/name-q4.gguf");
}

TEST_CASE("What is no whole model by itself is named with the reason") {
    const Home home;
    const auto with = [&](const char* name, std::map<std::string, std::string> words,
                          std::map<std::string, std::uint32_t> numbers) {
        TinyModelSpec spec;
        spec.seed = std::hash<std::string_view>()(name);
        spec.words = std::move(words);
        spec.numbers = std::move(numbers);
        home.model(fs::path("Downloads") / name, spec);
    };
    with("big-00001-of-00002.gguf", {}, {{"split.count", 2}});
    with("big-00002-of-00002.gguf", {}, {{"split.count", 2}});
    with("alone-00001-of-00001.gguf", {}, {{"split.count", 1}});
    with("mmproj-f16.gguf", {{"general.type", "mmproj"}}, {});
    with("lora.gguf", {{"general.type", "adapter"}}, {});
    with("embed.gguf", {}, {{"llama.pooling_type", 3}});
    // A header without tensors: GGUF 3, none of them, one value.
    std::string vocabulary("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 24);
    vocabulary += std::string("\x14\0\0\0\0\0\0\0general.architecture\x08\0\0\0\x05\0\0\0\0\0\0\0llama", 45);
    home.text("Downloads/vocab.gguf", vocabulary);
    const auto whole = home.model("Downloads/whole.gguf");
    home.text("Downloads/cut.gguf", must(readFile(whole, 1 << 24)).substr(0, 30'000));
    home.text("Downloads/page.gguf", "<html>404</html>");
    const auto models = home.find();
    CHECK(models.size() == 9);
    CHECK(has(refusal(named(models, "big-00001-of-00002")), "2 parts"));
    CHECK(named(models, "alone-00001-of-00001").info);
    CHECK(has(refusal(named(models, "mmproj-f16")), "pictures"));
    CHECK(has(refusal(named(models, "lora")), "adapter"));
    CHECK(has(refusal(named(models, "embed")), "embeddings"));
    CHECK(has(refusal(named(models, "vocab")), "words"));
    CHECK(named(models, "whole").info);
    CHECK(named(models, "cut").info.error().code == Code::Truncated);
    CHECK(named(models, "page").info.error().code == Code::NotAModel);
}

TEST_CASE("A search ends at its limits and when it is stopped") {
    const Home home;
    home.model("Downloads/near.gguf");
    home.model("Downloads/a/b/c/far.gguf", {.seed = 2});
    for (int i = 0; i < 50; ++i) home.text("Downloads/a/" + std::to_string(i) + ".txt", "x");
    CHECK(home.find().size() == 2);
    CHECK(home.find({.depth = 2}).size() == 1);
    CHECK(home.find({.entries = 20}).size() == 1);
    CHECK(home.find({.models = 1}).size() == 1);
    std::stop_source stop;
    stop.request_stop();
    CHECK(findModels({{home.root / "Downloads", ModelOrigin::Downloads}}, stop.get_token()).empty());
}

TEST_CASE("Folders that variables name go before the usual ones") {
    const std::map<std::string, std::string> set{{"HOME", "/home/me"},
                                                 {"XDG_DATA_HOME", "/data"},
                                                 {"OLLAMA_MODELS", "/big/ollama"},
                                                 {"HF_HOME", "/big/hf"},
                                                 {"XDG_CACHE_HOME", "relative"}};
    const auto places = usualModelPlaces([&](const char* name) {
        const auto found = set.find(name);
        return found == set.end() ? std::string() : found->second;
    });
    const auto there = [&](const char* folder, ModelOrigin origin) {
        return std::ranges::any_of(places, [&](const auto& p) { return p.folder == folder && p.origin == origin; });
    };
    CHECK(places.front().folder == "/data/carrel/models");
    CHECK(there("/usr/share/carrel/models", ModelOrigin::Package));
    CHECK(there("/big/ollama", ModelOrigin::Ollama));
    CHECK_FALSE(there("/home/me/.ollama/models", ModelOrigin::Ollama));
    CHECK(there("/big/hf/hub", ModelOrigin::HuggingFace));
    CHECK(std::ranges::all_of(places, [](const auto& place) { return place.folder.is_absolute(); }));
}

}  // namespace carrel
