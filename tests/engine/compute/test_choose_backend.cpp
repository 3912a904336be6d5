#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "compute/choose_backend.h"

using namespace carrel;

namespace {

#if defined(CARREL_EMULATED_PLUGIN)
bool emulationRuns() {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        MESSAGE("skipped: the emulation needs AVX2, which this processor lacks");
        return false;
    }
#endif
    return true;
}
BackendOptions with(const char* plugin, BackendChoice choice = BackendChoice::Auto) {
    return {choice, {}, 1, plugin};
}
#endif

}  // namespace

TEST_CASE("Without a plugin the processor computes, and says why") {
    const auto chosen = chooseBackend({BackendChoice::Auto, {}, 2, "/nowhere/carrel_cuda.so"});
    REQUIRE(chosen);
    CHECK(chosen->backend->name().starts_with("cpu "));
    CHECK(chosen->processor.backend == chosen->backend->name());
    CHECK(chosen->processor.gpu.empty());
    CHECK(chosen->processor.why == "Carrel was built or installed without its CUDA part.");
    CHECK(chosen->processor.report.empty());
}

TEST_CASE("A GPU that is asked for and cannot be is an error with the same sentence") {
    const auto chosen = chooseBackend({BackendChoice::Cuda, {}, 2, "/nowhere/carrel_cuda.so"});
    REQUIRE_FALSE(chosen);
    CHECK(chosen.error().code == Code::Unsupported);
    CHECK(chosen.error().detail == "Carrel was built or installed without its CUDA part");
}

TEST_CASE("The environment names another plugin than the program's") {
    CHECK(cudaPluginFor("/opt/bin/carrel") == "/opt/lib/carrel/carrel_cuda.so");
    setenv("CARREL_CUDA_PLUGIN", "/somewhere/else.so", 1);
    CHECK(cudaPluginFor("/opt/bin/carrel") == "/somewhere/else.so");
    unsetenv("CARREL_CUDA_PLUGIN");
}

#if defined(CARREL_EMULATED_PLUGIN)
TEST_CASE("A GPU that gives the right results computes, unless the processor is asked for") {
    if (!emulationRuns()) return;
    const auto chosen = chooseBackend(with(CARREL_EMULATED_PLUGIN));
    REQUIRE(chosen);
    CHECK(chosen->processor.gpu == "cushim (no GPU: kernels run on the host)");
    CHECK(chosen->processor.backend == "cuda " + chosen->processor.gpu);
    CHECK(chosen->backend->name() == chosen->processor.backend);
    CHECK(chosen->processor.why.empty());
    for (const BackendOptions& asked : {with(CARREL_EMULATED_PLUGIN, BackendChoice::Cpu),
                                        BackendOptions{BackendChoice::Auto, "scalar", 1, CARREL_EMULATED_PLUGIN}}) {
        const auto cpu = chooseBackend(asked);
        REQUIRE(cpu);
        CHECK(cpu->backend->name().starts_with("cpu "));
        CHECK(cpu->processor.gpu.empty());
        CHECK(cpu->processor.why.empty());
    }
}

TEST_CASE("A GPU that gives a wrong result is not used, and the operations are named") {
    if (!emulationRuns()) return;
    const std::string sentence =
        "The GPU cushim (no GPU: kernels run on the host) is not used, because it gives other results than it should "
        "in 2 of 99 operations: swiglu and geglu.";
    for (int time = 0; time < 2; ++time) {  // the second time by what the first one found
        const auto chosen = chooseBackend(with(CARREL_WRONG_PLUGIN));
        REQUIRE(chosen);
        CHECK(chosen->backend->name().starts_with("cpu "));
        CHECK(chosen->processor.why == sentence);
        CHECK(chosen->processor.report.find("wrong  swiglu  ") != std::string::npos);
        CHECK(chosen->processor.report.find("right  rmsNorm  ") != std::string::npos);
    }
    const auto insisted = chooseBackend(with(CARREL_WRONG_PLUGIN, BackendChoice::Cuda));
    REQUIRE_FALSE(insisted);
    CHECK(insisted.error().detail + "." == sentence);
    const CudaReport report = checkCuda(CARREL_WRONG_PLUGIN);
    CHECK_FALSE(report.usable);
    CHECK(report.why == sentence);
}

TEST_CASE("The processor takes over what does not fit into the GPU's memory, where that was not insisted on") {
    if (!emulationRuns()) return;
    std::vector<std::string> tried;
    const auto tooLarge = [&](Backend& backend) -> Status {
        tried.push_back(backend.name().substr(0, 4));
        if (tried.back() == "cuda") return Error{Code::NoMemory, "", "needs more"};
        return {};
    };
    const auto wanted = with(CARREL_EMULATED_PLUGIN);
    auto chosen = chooseBackend(wanted);
    REQUIRE(chosen);
    CHECK(loadOnto(*chosen, wanted, tooLarge));
    CHECK(tried == std::vector<std::string>{"cuda", "cpu "});
    CHECK(chosen->forOneModel);
    CHECK(chosen->processor.backend.starts_with("cpu "));
    CHECK(chosen->processor.gpu.empty());
    CHECK(chosen->processor.why ==
          "The model does not fit into the memory of the GPU cushim (no GPU: kernels run on the host).");

    const auto insisted = with(CARREL_EMULATED_PLUGIN, BackendChoice::Cuda);
    chosen = chooseBackend(insisted);
    REQUIRE(chosen);
    const auto failed = loadOnto(*chosen, insisted, tooLarge);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == Code::NoMemory);
    CHECK(chosen->backend->name().starts_with("cuda "));
}
#endif
