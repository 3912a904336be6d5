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
#endif
