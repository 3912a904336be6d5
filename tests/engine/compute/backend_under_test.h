#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "compute/registry.h"

namespace carrel {

/// The backend that CARREL_ISA asks for.
inline std::unique_ptr<Backend> backendUnderTest(unsigned threads = 2) {
    auto made = makeCpuBackend("", threads);
    REQUIRE(made);
    return std::move(*made);
}

inline std::vector<float> randomFloats(unsigned seed, std::size_t count, float spread = 1) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> out(count);
    for (float& value : out) value = normal(random);
    return out;
}

inline bool sameBits(const float* a, const float* b, std::size_t count) {
    return count == 0 || std::memcmp(a, b, count * sizeof(float)) == 0;
}

}  // namespace carrel

int main(int argc, char** argv) {
    if (const auto made = carrel::makeCpuBackend("", 1); !made) {
        std::printf("skipped: %s: %s\n", made.error().where.c_str(), made.error().detail.c_str());
        return 77;
    }
    return doctest::Context(argc, argv).run();
}
