#pragma once

#include <cstddef>

// What the engine tells the sanitizer that kernels were compiled with; it is compiled without one itself, or its own
// accesses would be taken for the running fiber's.

#if defined(CUSHIM_TSAN)
extern "C" {
void* __tsan_create_fiber(unsigned);
void* __tsan_get_current_fiber();
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_acquire(void*);
void __tsan_release(void*);
}
#elif defined(CUSHIM_ASAN)
extern "C" {
void __sanitizer_start_switch_fiber(void**, const void*, std::size_t);
void __sanitizer_finish_switch_fiber(void*, const void**, std::size_t*);
void __asan_poison_memory_region(void const volatile*, std::size_t);
void __asan_unpoison_memory_region(void const volatile*, std::size_t);
}
#endif

namespace cushim {

#if defined(CUSHIM_TSAN)
// Blocks that follow each other use different fibers, so that races between them show.
inline constexpr int kPools = 2;
inline void* newFiber() {
    return __tsan_create_fiber(0);
}
inline void* hostFiber() {
    static void* const host = __tsan_get_current_fiber();
    return host;
}
inline void switchTo(void* fiber) {
    __tsan_switch_to_fiber(fiber, 1);  // 1: a switch orders nothing
}
inline void acquire(void* at) {
    __tsan_acquire(at);
}
inline void release(void* at) {
    __tsan_release(at);
}
#else
inline constexpr int kPools = 1;
inline void* newFiber() {
    return nullptr;
}
inline void* hostFiber() {
    return nullptr;
}
inline void switchTo(void*) {}
inline void acquire(void*) {}
inline void release(void*) {}
#endif

#if defined(CUSHIM_ASAN)
inline void forbid(const void* at, std::size_t bytes) {
    __asan_poison_memory_region(at, bytes);
}
inline void permit(const void* at, std::size_t bytes) {
    __asan_unpoison_memory_region(at, bytes);
}
#else
inline void forbid(const void*, std::size_t) {}
inline void permit(const void*, std::size_t) {}
#endif

}  // namespace cushim
