#pragma once

// What a kernel's own code sees under g++ in nvcc's place. Each barrier and warp operation carries its place in the
// source.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#define CUSHIM 1
#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) {
    return {x, y};
}
inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}
inline int4 make_int4(int x, int y, int z, int w) {
    return {x, y, z, w};
}
inline uint2 make_uint2(unsigned x, unsigned y) {
    return {x, y};
}
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return {x, y, z, w};
}

namespace cushim {

struct Stream;
struct Event;
struct Graph;
struct GraphExec;
enum class Memory : std::uint8_t { Device, Pinned };

struct Thread {
    uint3 index;
    unsigned linear, lane, warp;
};
extern Thread* current;  // whose fiber is running
extern uint3 blockIndex;
extern dim3 blockSize, gridSize;

/// Where a block's shared array lies, per fiber set (engine.h).
struct SharedSlot {
    std::uint64_t block[2] = {0, 0};
    void* at[2] = {nullptr, nullptr};
};
struct Site {
    const char* file;
    int line, id;
};
enum class WarpOp : std::uint8_t { Shuffle, Xor, Up, Down, Ballot, Sync };

void syncThreads(Site site);
std::uint64_t warpOp(WarpOp op, unsigned mask, std::uint64_t value, int argument, Site site);
void* sharedArray(SharedSlot& slot, std::size_t bytes, std::size_t align);
void* dynamicShared();

struct Task {
    void (*run)(void*);
    void (*check)(void*);  // its arguments, at every launch
    void (*drop)(void*);
    void* of;
};
/// The error that the emulated device has, or 0.
int launch(const char* from, dim3 grid, dim3 block, std::size_t sharedBytes, Stream* stream, Task task);
void checkPointer(const char* what, const void* p);
template <class T>
void checkArgument(const T& value) {
    if constexpr (std::is_pointer_v<T>) checkPointer("kernel argument", value);
}

template <class... P>
struct Call {
    void (*kernel)(P...);
    std::tuple<P...> args;
    static void run(void* call) {
        auto* self = static_cast<Call*>(call);
        std::apply(self->kernel, self->args);
    }
    static void check(void* call) {
        std::apply([](const auto&... value) { (checkArgument(value), ...); }, static_cast<Call*>(call)->args);
    }
    static void drop(void* call) { delete static_cast<Call*>(call); }
};

template <class T>
std::uint64_t bits(T value) {
    std::uint64_t out = 0;
    std::memcpy(&out, &value, sizeof value);
    return out;
}
template <class T>
T unbits(std::uint64_t from) {
    T out;
    std::memcpy(&out, &from, sizeof out);
    return out;
}
inline unsigned maskOrFull(unsigned mask = 0xffffffffu) {
    return mask;
}
template <class T>
T shuffle(WarpOp op, unsigned mask, T value, int argument, Site site) {
    return unbits<T>(warpOp(op, mask, bits(value), argument, site));
}

}  // namespace cushim

enum cudaError_t : int;
namespace cushim {
cudaError_t allocate(void** p, std::size_t bytes, Memory kind);
}

#define threadIdx (::cushim::current->index)
#define blockIdx (::cushim::blockIndex)
#define blockDim (::cushim::blockSize)
#define gridDim (::cushim::gridSize)
#define KSHARED(T, name, ...)                \
    static ::cushim::SharedSlot name##_slot; \
    T(&name)                                 \
    [__VA_ARGS__] =                          \
        *static_cast<T(*)[__VA_ARGS__]>(::cushim::sharedArray(name##_slot, sizeof(T[__VA_ARGS__]), alignof(T)))
#define KDYNSHARED(T, name) T* const name = static_cast<T*>(::cushim::dynamicShared())

#define CUSHIM_SITE (::cushim::Site{__FILE__, __LINE__, __COUNTER__})
#define CUSHIM_SHUFFLE(op, m, v, s) ::cushim::shuffle(::cushim::WarpOp::op, m, v, s, CUSHIM_SITE)
#define __syncthreads() ::cushim::syncThreads(CUSHIM_SITE)
#define __syncwarp(...) \
    ((void)::cushim::warpOp(::cushim::WarpOp::Sync, ::cushim::maskOrFull(__VA_ARGS__), 0, 0, CUSHIM_SITE))
#define __shfl_sync(m, v, s) CUSHIM_SHUFFLE(Shuffle, m, v, s)
#define __shfl_xor_sync(m, v, s) CUSHIM_SHUFFLE(Xor, m, v, s)
#define __shfl_up_sync(m, v, s) CUSHIM_SHUFFLE(Up, m, v, s)
#define __shfl_down_sync(m, v, s) CUSHIM_SHUFFLE(Down, m, v, s)
#define __ballot_sync(m, p) \
    (static_cast<unsigned>(::cushim::warpOp(::cushim::WarpOp::Ballot, m, (p) ? 1 : 0, 0, CUSHIM_SITE)))
#define __any_sync(m, p) (__ballot_sync(m, p) != 0)
#define __all_sync(m, p) (__ballot_sync(m, p) == (m))

using std::max;
using std::min;
inline void __threadfence() {}
template <class T>
T __ldg(const T* p) {
    return *p;
}
inline int __float_as_int(float f) {
    return cushim::unbits<int>(cushim::bits(f));
}
inline unsigned __float_as_uint(float f) {
    return cushim::unbits<unsigned>(cushim::bits(f));
}
inline float __int_as_float(int i) {
    return cushim::unbits<float>(cushim::bits(i));
}
inline float __uint_as_float(unsigned i) {
    return cushim::unbits<float>(cushim::bits(i));
}
inline int __float2int_rn(float f) {
    return static_cast<int>(std::lrintf(f));
}
inline int __popc(unsigned v) {
    return __builtin_popcount(v);
}
inline int __ffs(int v) {
    return __builtin_ffs(v);
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned picks) {
    const std::uint64_t from = std::uint64_t{y} << 32 | x;
    unsigned out = 0;
    for (unsigned i = 0; i < 4; ++i) out |= static_cast<unsigned>(from >> 8 * (picks >> 4 * i & 7) & 255) << 8 * i;
    return out;
}
// Bytes of a and b are signed.
inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; ++i)
        c += static_cast<int>(static_cast<signed char>(a >> 8 * i)) *
             static_cast<int>(static_cast<signed char>(b >> 8 * i));
    return c;
}
inline int atomicAdd(int* p, int v) {
    return __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL);
}
inline unsigned atomicAdd(unsigned* p, unsigned v) {
    return __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL);
}
inline float atomicAdd(float* p, float v) {
    auto* word = reinterpret_cast<unsigned*>(p);
    unsigned before = __atomic_load_n(word, __ATOMIC_RELAXED), after;
    do after = cushim::unbits<unsigned>(cushim::bits(cushim::unbits<float>(before) + v));
    while (!__atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return cushim::unbits<float>(before);
}
