#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace carrel::cuda {

/// A kernel's launch, behind which its arguments lie in memory. Both are compared by their bytes.
struct HeldLaunch {
    cudaError_t (*launch)(const HeldLaunch&, const std::byte* args, cudaStream_t stream);
    void (*kernel)();
    dim3 grid, block;
    std::size_t sharedBytes, argumentBytes;  // the latter a multiple of 8
};

/// A stream, and launches that wait for it: decoding repeats the same ones with every token. Whoever takes the stream
/// itself, to enqueue anything or to wait, has it after all that was held back. What was held then goes as one graph
/// where the same launches, arguments and all, have been held before: once plainly, which also loads the kernels, then
/// captured. A graph is launched in the place of launches with its own arguments alone, so that it needs nothing that
/// they would not.
class LaunchList {
  public:
    LaunchList() = default;
    LaunchList(const LaunchList&) = delete;
    LaunchList& operator=(const LaunchList&) = delete;
    /// Waits for the stream. What is still held is not launched.
    ~LaunchList();
    cudaError_t open();

    operator cudaStream_t() {
        flush();
        return stream_;
    }
    /// What klaunch() (klaunch_held.h) then launches is held back, or not: what takes longer than its launch is better
    /// begun at once.
    LaunchList& holding(bool holds = true) {
        holds_ = holds;
        return *this;
    }
    /// Of launches that were held.
    cudaError_t error() const { return error_; }

    bool holds() const { return holds_; }
    /// Where its arguments go.
    std::byte* hold(const HeldLaunch& launch);

  private:
    static constexpr std::size_t kMostHeld = 128;  // a layer has about 20
    static constexpr std::size_t kMostKnown = 256;

    struct Known {
        std::uint64_t hash = 0, lastUse = 0;
        std::vector<std::byte> launches;
        bool tried = false;  // to make a graph of them
        cudaGraphExec_t graph = nullptr;
    };

    void flush();
    cudaError_t launch();
    cudaError_t launchEach();
    cudaGraphExec_t capture();
    Known* known(std::uint64_t hash);
    void remember(std::uint64_t hash);
    void forget(Known& known);

    cudaStream_t stream_ = nullptr;
    std::vector<std::byte> held_;  // HeldLaunch, its arguments, HeldLaunch, …
    std::size_t count_ = 0;
    bool holds_ = false;
    std::vector<Known> known_;
    std::uint64_t uses_ = 0;
    cudaError_t error_ = cudaSuccess;
};

}  // namespace carrel::cuda
