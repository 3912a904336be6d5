#include <carrel/lab.h>

#include "engine/session/door.h"

namespace carrel {

namespace {

void put(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

TinyModelSpec specOf(const std::string& architecture) {
    TinyModelSpec spec = sessionSpec();
    spec.architecture = architecture;
    return spec;
}

std::string fingerprintOf(const std::filesystem::path& model) {
    const auto backend = must(makeCpuBackend("", 1));
    return must(LoadedModel::load(model, *backend))->model().fingerprint;
}

/// Whether a reading that is opened now counts estimates.
bool estimates(const Desk& desk, const std::filesystem::path& model, const std::string& document,
               const KvSettings& kv = {}) {
    Bench bench(desk.root, model, 64, kv);
    const auto reading = bench.open(document);
    REQUIRE(reading->policy());
    CHECK(reading->report({}, 0).estimate == reading->policy()->estimate);
    return reading->policy()->estimate;
}

}  // namespace

TEST_CASE("A profile comes back as it was written, and there is none for another model") {
    const Desk desk;
    for (const bool estimate : {true, false}) {
        must(ModelProfile{estimate}.write(desk.root, "a1b2"));
        CHECK(must(ModelProfile::read(desk.root, "a1b2")).estimate == estimate);
        CHECK(ModelProfile::read(desk.root, "a1b3").error().code == Code::NotFound);
    }
}

TEST_CASE("What a profile says of estimates goes before what its architecture is known for, until it is switched off") {
    for (const std::string architecture : {"llama", "qwen2"}) {
        CAPTURE(architecture);
        const bool known = architecture == "qwen2";
        const Desk desk;
        const auto model = desk.model(specOf(architecture));
        const auto document = desk.add(someText(1, kTextBytes));
        CHECK(estimates(desk, model, document) == known);
        must(ModelProfile{!known}.write(desk.root, fingerprintOf(model)));
        CHECK(estimates(desk, model, document) == !known);
        KvSettings off;
        off.profile = false;
        CHECK(estimates(desk, model, document, off) == known);
        off = {};
        off.estimate = false;
        CHECK_FALSE(estimates(desk, model, document, off));
    }
}

TEST_CASE("A profile that is not one, or not this model's, is ignored and the report says why") {
    const Desk desk;
    const auto model = desk.model(specOf("qwen2"));
    const auto document = desk.add(someText(2, kTextBytes));
    const std::string own = fingerprintOf(model);
    const auto path = profilePath(desk.root, own);
    const auto report = [&] {
        Door door(desk, model);
        door.readWhole(document);
        return door.compute->tiers(document)->report;
    };
    CHECK(report().profile == "none");
    must(ModelProfile{false}.write(desk.root, own));
    CHECK(report().profile == "measured");
    CHECK_FALSE(report().estimate);
    const std::string start = R"({"version": 1, "model": ")" + own + R"(", )";
    const std::string bad[] = {
        "",
        "{",
        "NaN",
        "[]",
        "{}",
        start + "}",
        start + R"("estimate": NaN})",
        start + R"("estimate": 1})",
        start + R"("estimate": "true"})",
        R"({"version": 2, "model": ")" + own + R"(", "estimate": true})",
        R"({"version": "1", "model": ")" + own + R"(", "estimate": true})",
        R"({"version": 1, "model": "another", "estimate": true})",
        R"({"version": 1, "model": 7, "estimate": true})",
        std::string(60'000, '['),
        std::string(100'000, ' ') + start + R"("estimate": true})",
        std::string("\0\xff\xfe", 3),
    };
    for (const std::string& text : bad) {
        CAPTURE(text.substr(0, 200));
        put(path, text);
        const TierReport got = report();
        CHECK(got.profile.starts_with("ignored: "));
        CHECK(got.estimate);  // the architecture's default
    }
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    CHECK(report().profile.starts_with("ignored: "));
}

TEST_CASE("What is measured of a model is written where its next reading finds it") {
    const Desk desk;
    const auto model = desk.model();
    const auto document = desk.add(someText(3, kTextBytes));
    LabOptions options;
    options.model = model;
    options.threads = 1;
    options.kv.deviceBytes = options.kv.hostBytes = std::uint64_t{256} << 20;
    options.kv.threshold = 1e-3;
    options.data = desk.root;
    options.scratch = desk.folder.path() / "scratch";
    const auto lab = must(Lab::open(options));
    const ProfileReport got = must(lab->profile(someText(4, 4000), 1024, 16, {}));
    CHECK(got.file == profilePath(desk.root, fingerprintOf(model)));
    CHECK(got.readShare > 0);
    CHECK(got.readShare < 1);
    CHECK(got.kldPlain > 0);
    CHECK(got.kldEstimated > 0);
    CHECK(got.kldEstimated != got.kldPlain);
    CHECK(must(ModelProfile::read(desk.root, fingerprintOf(model))).estimate == got.estimate);
    CHECK(estimates(desk, model, document) == got.estimate);
    options.data.clear();
    const auto nowhere = must(Lab::open(options));
    CHECK(nowhere->profile(someText(4, 4000), 1024, 16, {}).error().code == Code::InvalidArgument);
    options.kv.keep = 1;
    options.data = desk.root;
    const auto full = must(Lab::open(options));
    CHECK(full->profile(someText(4, 4000), 1024, 16, {}).error().code == Code::InvalidArgument);
}

}  // namespace carrel
