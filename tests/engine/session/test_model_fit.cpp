#include <carrel/models.h>
#include <doctest/doctest.h>

#include "engine/session/desk.h"

namespace carrel {

namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

// An 8B model in Q4_K_M: 32 layers, 8 KV heads of 128.
const ModelInfo kLarge{"large.gguf", "Large", "llama", 49 * kGiB / 10, 131'072, 131'072, "llama-3", 46 * kGiB / 10};
// The catalog's default.
const ModelInfo kSmall{"small.gguf", "Small", "qwen2", 491'400'064, 12'288, 32'768, "chatml", 391'900'000};

Machine machine(double gigabytesPerSecond, std::uint64_t available) {
    return {"a machine", available, gigabytesPerSecond * 1e9};
}
Fit fitOf(const ModelInfo& model, const Machine& on) {
    return estimateFit(model, on).fit;
}

}  // namespace

TEST_CASE("What fits answers fast enough and lies in memory") {
    CHECK(fitOf(kSmall, machine(30, 16 * kGiB)) == Fit::Fits);
    CHECK(fitOf(kLarge, machine(60, 16 * kGiB)) == Fit::Fits);
    CHECK(fitOf(kLarge, machine(15, 16 * kGiB)) == Fit::Slow);    // too few tokens a second
    CHECK(fitOf(kLarge, machine(60, 6 * kGiB)) == Fit::Slow);     // KV from disk
    CHECK(fitOf(kLarge, machine(60, 4 * kGiB)) == Fit::WontFit);  // not even its weights
    CHECK(fitOf(kSmall, machine(0, 16 * kGiB)) == Fit::Unknown);  // nothing was measured
    CHECK(fitOf(kLarge, machine(0, 4 * kGiB)) == Fit::WontFit);   // which no speed would change
    CHECK(fitOf(kSmall, machine(30, 0)) == Fit::Unknown);
}

TEST_CASE("Estimates follow rate and sizes, and never fall where there is more") {
    double last = 0;
    for (const double rate : {5.0, 10.0, 20.0, 40.0, 80.0}) {
        const double now = estimateFit(kSmall, machine(rate, 16 * kGiB)).tokensPerSecond;
        CHECK(now > last);
        last = now;
    }
    ModelInfo shorter = kLarge;
    shorter.window = 8192;
    const Machine on = machine(30, 16 * kGiB);
    CHECK(estimateFit(shorter, on).tokensPerSecond > estimateFit(kLarge, on).tokensPerSecond);
    CHECK(estimateFit(shorter, on).memoryBytes < estimateFit(kLarge, on).memoryBytes);
    shorter.window = 100;  // smaller than what is kept for a question
    CHECK(estimateFit(shorter, on).memoryBytes == shorter.fileBytes + kGiB / 4);
}

// 33.3 GB/s and 19.9 GB/s on two machines, 32,768 tokens of document (tests/bench/RESULTS.md).
TEST_CASE("Estimates are near what was measured of the default model") {
    CHECK(estimateFit(kSmall, machine(33.3, 16 * kGiB)).tokensPerSecond == doctest::Approx(48).epsilon(0.25));
    CHECK(estimateFit(kSmall, machine(19.9, 16 * kGiB)).tokensPerSecond == doctest::Approx(28.7).epsilon(0.25));
}

TEST_CASE("Best first: usable, fitting, with a known chat format, then the larger") {
    const auto found = [](const char* name, Result<ModelInfo> info) {
        return FoundModel{name, ModelOrigin::Downloads, name, std::move(info), {}};
    };
    ModelInfo huge = kLarge, slow = kLarge, base = kSmall;
    huge.fileBytes = 40 * kGiB;
    slow.tokenBytes = 12 * kGiB;
    base.chatTemplate = "plain";
    base.fileBytes *= 2;
    std::vector<FoundModel> models{found("broken", Error{Code::Truncated, "", ""}),
                                   found("huge", huge),
                                   found("slow", slow),
                                   found("base", base),
                                   found("small", kSmall),
                                   found("large", kLarge)};
    rankByFit(models, machine(60, 16 * kGiB));
    std::string order;
    for (const FoundModel& model : models) order += model.name + ' ';
    CHECK(order == "large small base slow huge broken ");
    CHECK(models[3].fit.fit == Fit::Slow);
    CHECK(models[4].fit.fit == Fit::WontFit);
    CHECK(models[4].fit.memoryBytes > 40 * kGiB);
}

TEST_CASE("This machine has a name, memory and a rate at which it is read") {
    const Machine here = thisMachine(0);
    CHECK(here.identity.find("cores") != std::string::npos);
    CHECK(here.identity != thisMachine(77).identity);
    CHECK(here.identity == thisMachine(0).identity);
    CHECK(here.availableBytes > 1 << 20);
    CHECK(measureReadRate(1) > 1e8);  // slower memory was last sold in the nineties
}

TEST_CASE("What a token goes through is the file's tensors, without embeddings that stand apart") {
    const Desk desk;
    TinyModelSpec spec = sessionSpec();
    const ModelInfo apart = must(inspectModel(desk.model(spec, "apart.gguf")));
    spec.tiedOutput = true;
    const ModelInfo tied = must(inspectModel(desk.model(spec, "tied.gguf")));
    CHECK(apart.tokenBytes == tied.tokenBytes);
    CHECK(apart.fileBytes > tied.fileBytes);
    CHECK(tied.tokenBytes < tied.fileBytes);
    CHECK(tied.tokenBytes > tied.fileBytes / 2);
    spec.architecture = "gemma3";  // five of its layers see a window and no more
    spec.sentencePiece = true;
    spec.layers = 6;
    CHECK(must(inspectModel(desk.model(spec, "local.gguf"))).kvBytesPerToken == tied.kvBytesPerToken / 2);
}

}  // namespace carrel
