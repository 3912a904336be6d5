#include <cstdlib>

#include "engine/session/desk.h"

using namespace carrel;

namespace {

class Silent final : public EventSink {
    void readingProgress(std::uint64_t, const ReadingProgress&) override {}
    void readingEnded(std::uint64_t, const Result<ReadingSummary>&) override {}
    void turnStage(std::uint64_t, TurnStage) override {}
    void turnText(std::uint64_t, const std::string&) override {}
    void answered(std::uint64_t, const Answer&) override {}
    void turnFailed(std::uint64_t, const Error&) override {}
};

struct Window {
    Desk desk;
    Silent events;
    ComputeOptions options;

    Window() {
        options.dataDir = desk.root;
        options.threads = 2;
    }
    std::unique_ptr<Compute> open() { return must(Compute::open(options, events)); }
};

}  // namespace

TEST_CASE("Who computes is known before a model is, and after other threads were chosen") {
    Window window;
    const auto compute = window.open();
    const Processor before = must(compute->processor());
    CHECK(before.backend.ends_with(", 2 threads"));
    CHECK(before.why == "Carrel was built or installed without its CUDA part.");
    const auto model = window.desk.model();
    must(compute->loadModel(model));
    compute->useThreads(1);
    CHECK(must(compute->processor()).backend == before.backend);  // until the next model
    must(compute->loadModel(model));
    CHECK(must(compute->processor()).backend.ends_with(", 1 thread"));
    CHECK(must(compute->processor()).why == before.why);
}

TEST_CASE("A GPU that is insisted on and is not there is an error where a model is loaded, and no earlier") {
    Window window;
    window.options.backend = BackendChoice::Cuda;
    const auto compute = window.open();
    CHECK(compute->storedReadings({}));
    const auto loaded = compute->loadModel(window.desk.model());
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code == Code::Unsupported);
    CHECK_FALSE(compute->processor());
}

#if defined(CARREL_EMULATED_PLUGIN) && defined(__x86_64__)
TEST_CASE("Other threads change nothing about a GPU that computes, or one that may not") {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        MESSAGE("skipped: the emulation needs AVX2, which this processor lacks");
        return;
    }
    for (const bool right : {true, false}) {
        Window window;
        window.options.cudaPlugin = right ? CARREL_EMULATED_PLUGIN : CARREL_WRONG_PLUGIN;
        const auto compute = window.open();
        const auto model = window.desk.model();
        for (const unsigned threads : {2u, 1u}) {
            compute->useThreads(threads);
            must(compute->loadModel(model));
            const Processor now = must(compute->processor());
            CHECK(now.backend.starts_with(right ? "cuda cushim" : "cpu "));
            CHECK(now.gpu.empty() == !right);
            CHECK(now.why.ends_with(right ? "" : "operations: swiglu and geglu."));
        }
    }
}

TEST_CASE("Where a GPU fails the processor goes on, with what was being read and with what was asked") {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        MESSAGE("skipped: the emulation needs AVX2, which this processor lacks");
        return;
    }
    Window window;
    window.options.cudaPlugin = CARREL_EMULATED_PLUGIN;
    const std::string document = window.desk.add(someText(3, 900));
    const auto ask = [&](Compute& compute, std::uint64_t ticket, std::uint32_t tokens) {
        compute.ask({ticket, document, {}, "chat", {}, "What stands where?", tokens, {}});
    };
    const auto drain = [](Compute& compute) {
        std::size_t steps = 0;
        while (compute.step()) REQUIRE(++steps < 100'000);
    };
    const auto failed = [&](Compute& compute) {
        const Processor now = must(compute.processor());
        CHECK(now.backend.starts_with("cpu "));
        CHECK(now.gpu.empty());
        CHECK(now.why.starts_with("The GPU cushim (no GPU: kernels run on the host) failed while it computed ("));
    };
    for (const int when : {0, 1, 2}) {  // while it reads, while a question is read, in the middle of an answer
        CAPTURE(when);
        Recorder events;
        const auto compute = must(Compute::open(window.options, events));
        must(compute->loadModel(window.desk.model()));
        REQUIRE(must(compute->processor()).backend.starts_with("cuda cushim"));
        const auto fail = [] { setenv("CUSHIM_FAIL", "1", 1); };
        if (when == 0) events.onProgress = [&](std::uint64_t) { fail(); };
        if (when == 2) events.onText = [&](std::uint64_t) { fail(); };
        compute->read({1, document, {}, {}});
        drain(*compute);
        REQUIRE(events.ends[1] == 1);
        REQUIRE(events.readings.contains(1));
        CHECK(events.readings[1].coverage.whole());
        if (when == 1) fail();
        ask(*compute, 2, 24);
        drain(*compute);
        unsetenv("CUSHIM_FAIL");
        REQUIRE(events.ends[2] == 1);
        CHECK(events.answers.contains(2) == (when != 2));
        if (when == 2) {  // its words were shown: others would not fit to them
            REQUIRE(isGpuFailure(events.failures[2]));
            ask(*compute, 3, 24);
            drain(*compute);
            CHECK(events.answers.contains(3));
        }
        failed(*compute);
        must(compute->forgetReadings(document));
    }
}
#endif
