#pragma once

#include <cstdint>

// The CUDA runtime of these tests: .cu files compiled by g++, one fiber per CUDA thread, blocks one after another on
// one OS thread, streams as queues. What a test may say to it; kernels include cuda_runtime.h.

namespace cushim {

enum class Order : std::uint8_t { Forward, Reverse, Random };  // of a block's threads; Reverse: of the blocks too
/// Lazy: nothing runs before something waits for it, and streams that do not wait for each other run ahead at random.
enum class Streams : std::uint8_t { Eager, Lazy };

void configure(Order order, Streams streams, std::uint64_t seed);

struct Stats {
    std::uint64_t launches, blocks, threads, switches, barriers, warpOps, copies, copiedBytes;
    std::uint64_t launchCalls, graphs;  // the host's, of kernels and of graphs; graphs that there are
};
Stats& stats();

/// What the next questions for a device are answered with; without it one that is good.
struct Pretence {
    int error = 0;  // of cudaGetDeviceCount
    int driver = 13000, major = 8, minor = 0;
    std::uint64_t availableBytes = std::uint64_t{8} << 30;
};
void pretend(const Pretence& pretence);

/// What is found is printed and ends the process with this.
inline constexpr int kFound = 86;

}  // namespace cushim
