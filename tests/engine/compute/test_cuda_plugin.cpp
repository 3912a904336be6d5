#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "compute/cuda/loader.h"
#include "compute/cuda/plugin.h"
#include "compute/cuda/self_check.h"
#include "cushim/cushim.h"
#include "cushim/emulated.h"

// The plugin's own code on the emulation, which can pretend to be any state of a machine.

extern "C" carrel::Backend* carrel_cuda_backend(const char* buildId, unsigned threads, char* why, std::size_t whyBytes);

using namespace carrel;

namespace {

std::string whyOn(const cushim::Pretence& pretence, const char* buildId = "emulated") {
    cushim::pretend(pretence);
    char why[512] = "";
    const std::unique_ptr<Backend> backend(carrel_cuda_backend(buildId, 1, why, sizeof why));
    cushim::pretend({});
    CHECK((backend != nullptr) == (why[0] == '\0'));
    return why;
}

}  // namespace

TEST_CASE("Each reason that CUDA is off has its sentence") {
    CHECK(whyOn({}).empty());
    CHECK(whyOn({}, "another") == "carrel_cuda.so is of another build of Carrel.");
    CHECK(whyOn({.error = 35, .driver = 0}) == "No NVIDIA driver is installed.");
    CHECK(whyOn({.error = 35, .driver = 12020}) ==
          "The NVIDIA driver is too old: it offers CUDA 12.2, and Carrel needs 13.0 (driver 580 or later).");
    CHECK(whyOn({.error = 34}) ==
          "The NVIDIA driver's library is the CUDA toolkit's stand-in, with no driver behind it.");
    CHECK(whyOn({.error = 100}) == "An NVIDIA driver is installed, but it finds no NVIDIA GPU.");
    CHECK(whyOn({.error = 999}).starts_with("The NVIDIA driver does not work: "));
    CHECK(whyOn({.major = 6, .minor = 1}).ends_with("is too old: compute capability 6.1, and Carrel needs 7.5."));
    CHECK(whyOn({.availableBytes = 629145600}).ends_with("has 0.6 GiB of free memory, and Carrel needs at least 1.0."));
}

TEST_CASE("A long sentence ends where its place does") {
    cushim::pretend({.error = 100});
    char why[8];
    CHECK(carrel_cuda_backend("emulated", 1, why, sizeof why) == nullptr);
    CHECK(std::string(why) == "An NVID");
    cushim::pretend({});
}

TEST_CASE("A plugin that is not there, or is none, is a sentence too") {
    const auto missing = loadCudaBackend("/nowhere/carrel_cuda.so", 1);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == Code::Unsupported);
    CHECK(missing.error().detail == "Carrel was built or installed without its CUDA part.");
    const auto file = std::filesystem::temp_directory_path() / "carrel-no-plugin.so";
    std::ofstream(file) << "no library";
    const auto broken = loadCudaBackend(file, 1);
    std::filesystem::remove(file);
    REQUIRE_FALSE(broken);
    CHECK(broken.error().detail.starts_with("Carrel's CUDA part does not start: carrel-no-plugin.so: "));
}

TEST_CASE("What is recorded of every operation is what the emulation gives") {
    const auto backend = cushim::makeEmulatedBackend();
    if (!backend) {
        MESSAGE("skipped: ", backend.error().detail);
        return;
    }
    const auto rows = selfCheck(**backend);
    REQUIRE(rows);
    CHECK(rows->size() == 7 + 15 * 4 + 3 * 4 + 2 * 2 * 3 + 6 + 2);
    std::string lines;
    for (const SelfCheckRow& row : *rows) {
        char line[96];
        std::snprintf(line, sizeof line, "{\"%s\", 0x%016llx},\n", row.operation.c_str(),
                      static_cast<unsigned long long>(row.got));
        lines += line;
    }
    bool same = true;
    for (const SelfCheckRow& row : *rows) same = same && row.got == row.expected;
    INFO("engine/compute/cuda/self_check_hashes.inc, where a kernel changed on purpose:\n", lines);
    CHECK(same);
}

TEST_CASE("The bits do not hang by the order of threads or the time at which streams run") {
    const auto backend = cushim::makeEmulatedBackend();
    if (!backend) {
        MESSAGE("skipped: ", backend.error().detail);
        return;
    }
    using cushim::Order, cushim::Streams;
    for (const auto& [order, streams] : {std::pair{Order::Forward, Streams::Eager}, {Order::Reverse, Streams::Lazy}}) {
        cushim::configure(order, streams, 7);
        const auto rows = selfCheck(**backend);
        REQUIRE(rows);
        for (const SelfCheckRow& row : *rows) {
            INFO(row.operation);
            CHECK(row.got == row.expected);
        }
    }
}
