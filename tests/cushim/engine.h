#pragma once

#include <boost/context/detail/fcontext.hpp>

#include "cuda_runtime.h"
#include "cushim.h"
#include "sanitizers.h"

// Shared by the emulation's own files.

namespace cushim {

inline constexpr unsigned kMaxThreads = 1024, kMaxWarps = 32;
inline constexpr std::size_t kStackBytes = 128 << 10;
inline constexpr std::size_t kArenaBytes = 256 << 10;  // of a block's shared memory, gaps and all

struct Fiber {
    Thread thread{};  // first: `current` points here
    boost::context::detail::fcontext_t context = nullptr;
    char* stack = nullptr;
    void* tsan = nullptr;
    void* fakeStack = nullptr;  // ASan's
    unsigned mask = 0;
    WarpOp op = WarpOp::Sync;
    int argument = 0;
    std::uint64_t value = 0, result = 0;
    Site site{};
};

/// What the thread that runs blocks hands to them.
struct Running {
    const char* from = "";
    Task task{};
    std::size_t sharedBytes = 0;
    void* streamFiber = nullptr;                    // TSan's
    char *launched = nullptr, *finished = nullptr;  // addresses of happens-before edges
};
void runKernel(const Running& kernel, dim3 grid, dim3 block);

Order order();
bool lazy();
std::uint64_t random();
/// Prints, with the kernel, block and thread where one is running, and ends the process.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));
/// Bytes that are NaN in every float format; unseen by sanitizers.
void fillNan(void* at, std::size_t bytes);

/// Fails unless [p, p + bytes) lies in one allocation of that kind.
enum class Need : std::uint8_t { Device, Pinned, Either };
void needMemory(const char* what, const void* p, std::size_t bytes, Need need);
/// ASan lets only kernels and copies touch device memory.
void devicePhase(bool on);
void drainAll();
/// Fails where a stream is capturing.
void notInCapture(const char* call);

/// For trace.cpp: what a kernel's access goes to.
enum class Target : std::uint8_t { Device, Pinned, Shared, Own, Bad };
Target classify(const void* p, std::size_t bytes, const char** why);
bool inSharedOrStack(const void* p, std::size_t bytes, Target* target, const char** why);
bool inArguments(const void* p);

}  // namespace cushim
