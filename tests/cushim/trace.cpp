#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "engine.h"

// Behind the calls that g++ -fsanitize=thread plants at a kernel's accesses, in libtsan's place: refuses those to
// memory that no device sees, past a buffer, or at an odd address, wherever the pointer came from. With
// CUSHIM_COALESCE set it also prints how much of what a warp's accesses fetch is used, in 32-byte sectors (no cache).

namespace cushim {

namespace {

struct Request {
    unsigned lanes = 0;
    std::size_t bytes = 0;
    std::set<std::uintptr_t> sectors;
};
struct Total {
    unsigned long requests = 0, lanes = 0, sectors = 0, bytes = 0;
    std::size_t size = 0;
    bool write = false;
};

class Coalescing {
  public:
    ~Coalescing() {
        if (!on) return;
        endBlock();
        for (const auto& [pc, t] : totals_) {
            Dl_info info{};
            dladdr(pc, &info);
            std::printf("%s%zu %lu requests of %.1f lanes, %.1f sectors, %.1f%% of fetched bytes used, +0x%lx\n",
                        t.write ? "st" : "ld", t.size, t.requests,
                        static_cast<double>(t.lanes) / static_cast<double>(t.requests),
                        static_cast<double>(t.sectors) / static_cast<double>(t.requests),
                        100.0 * static_cast<double>(t.bytes) / (32.0 * static_cast<double>(t.sectors)),
                        static_cast<unsigned long>(static_cast<char*>(pc) - static_cast<char*>(info.dli_fbase)));
        }
    }
    void add(std::uintptr_t at, std::size_t bytes, bool write, void* pc) {
        if (blockIndex.x != block_.x || blockIndex.y != block_.y || blockIndex.z != block_.z) endBlock();
        block_ = blockIndex;
        Request& request = requests_[{pc, current->warp, seen_[{pc, current->linear}]++}];
        ++request.lanes;
        request.bytes += bytes;
        request.sectors.insert(at / 32);
        request.sectors.insert((at + bytes - 1) / 32);
        totals_[pc].size = bytes;
        totals_[pc].write = write;
    }
    const bool on = std::getenv("CUSHIM_COALESCE") != nullptr;

  private:
    void endBlock() {
        for (const auto& [key, request] : requests_) {
            Total& total = totals_[std::get<0>(key)];
            ++total.requests;
            total.lanes += request.lanes;
            total.sectors += request.sectors.size();
            total.bytes += request.bytes;
        }
        requests_.clear();
        seen_.clear();
    }
    std::map<std::tuple<void*, unsigned, unsigned>, Request> requests_;  // place, warp, how often before in the block
    std::map<std::pair<void*, unsigned>, unsigned> seen_;                // place, thread
    std::map<void*, Total> totals_;
    uint3 block_{~0u, 0, 0};
} coalescing;

void access(const void* p, std::size_t bytes, bool write, void* pc) {
    if (current == nullptr) return;
    const char* why = "";
    const Target target = classify(p, bytes, &why);
    const char* const what = write ? "write" : "read";
    if (target == Target::Bad) fail("kernel %s of %zu bytes at %p: %s (pc %p)", what, bytes, p, why, pc);
    if (reinterpret_cast<std::uintptr_t>(p) % bytes != 0)
        fail("misaligned kernel %s of %zu bytes at %p", what, bytes, p);
    if (coalescing.on && target == Target::Device)
        coalescing.add(reinterpret_cast<std::uintptr_t>(p), bytes, write, pc);
}

}  // namespace

}  // namespace cushim

#define CUSHIM_ACCESS(name, bytes, write)                             \
    void name(void* p) {                                              \
        cushim::access(p, bytes, write, __builtin_return_address(0)); \
    }
#define CUSHIM_ACCESSES(n)                            \
    CUSHIM_ACCESS(__tsan_read##n, n, false)           \
    CUSHIM_ACCESS(__tsan_write##n, n, true)           \
    CUSHIM_ACCESS(__tsan_unaligned_read##n, n, false) \
    CUSHIM_ACCESS(__tsan_unaligned_write##n, n, true)

extern "C" {
CUSHIM_ACCESSES(1)
CUSHIM_ACCESSES(2)
CUSHIM_ACCESSES(4)
CUSHIM_ACCESSES(8)
CUSHIM_ACCESSES(16)
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read_range(void* p, unsigned long) {
    cushim::access(p, 1, false, __builtin_return_address(0));
}
void __tsan_write_range(void* p, unsigned long) {
    cushim::access(p, 1, true, __builtin_return_address(0));
}
unsigned __tsan_atomic32_fetch_add(volatile unsigned* p, unsigned v, int) {
    cushim::access(const_cast<unsigned*>(p), 4, true, __builtin_return_address(0));
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
unsigned __tsan_atomic32_load(const volatile unsigned* p, int) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
int __tsan_atomic32_compare_exchange_strong(volatile unsigned* p, unsigned* expected, unsigned v, int, int) {
    cushim::access(const_cast<unsigned*>(p), 4, true, __builtin_return_address(0));
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED) ? 1 : 0;
}
}
