#include <cstdlib>
#include <map>

#include "engine.h"

// Device and pinned memory: what is whose, and what may go where.

extern "C" char __executable_start, end;

namespace cushim {

namespace {

struct Allocation {
    std::size_t bytes;
    Memory kind;
};
using Allocations = std::map<const char*, Allocation>;
Allocations& allocations() {
    static auto* const all = new Allocations;
    return *all;
}

// A pointer one past the end, too, is of its allocation.
Allocations::const_iterator find(const void* p) {
    const auto* c = static_cast<const char*>(p);
    auto it = allocations().upper_bound(c);
    if (it == allocations().begin()) return allocations().end();
    --it;
    return c <= it->first + it->second.bytes ? it : allocations().end();
}

cudaError_t freeOf(void* p, bool pinned) {
    if (p == nullptr) return cudaSuccess;
    notInCapture("a free");
    const auto it = allocations().find(static_cast<char*>(p));
    if (it == allocations().end() || (it->second.kind == Memory::Pinned) != pinned)
        fail("free of %p, which is no such allocation", p);
    drainAll();
    permit(p, it->second.bytes);
    allocations().erase(it);
    std::free(p);
    return cudaSuccess;
}

Pretence pretence;

}  // namespace

void pretend(const Pretence& what) {
    pretence = what;
}

cudaError_t allocate(void** p, std::size_t bytes, Memory kind) {
    notInCapture("an allocation");
    // Of exactly this size, so that ASan's red zone begins right behind it.
    if (posix_memalign(p, 256, bytes) != 0) return cudaErrorMemoryAllocation;
    fillNan(*p, bytes);
    allocations()[static_cast<char*>(*p)] = {bytes, kind};
    if (kind == Memory::Device) forbid(*p, bytes);
    return cudaSuccess;
}

void needMemory(const char* what, const void* p, std::size_t bytes, Need need) {
    static constexpr const char* kNames[] = {"device", "pinned host", "device or pinned host"};
    const char* const name = kNames[static_cast<int>(need)];
    const auto it = find(p);
    const Memory unfit = need == Need::Device ? Memory::Pinned : Memory::Device;
    if (it == allocations().end() || (need != Need::Either && it->second.kind == unfit))
        fail("%s: %p is not in %s memory", what, p, name);
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(p) - it->first);
    if (offset + bytes > it->second.bytes)
        fail("%s: %zu bytes at offset %zu overrun a %s buffer of %zu bytes", what, bytes, offset, name,
             it->second.bytes);
}

void checkPointer(const char* what, const void* p) {
    if (p != nullptr && find(p) == allocations().end()) fail("%s %p is memory that no device sees", what, p);
}

void devicePhase([[maybe_unused]] bool on) {
#if defined(CUSHIM_ASAN)
    for (const auto& [p, allocation] : allocations()) {
        if (allocation.kind != Memory::Device) continue;
        if (on)
            permit(p, allocation.bytes);
        else
            forbid(p, allocation.bytes);
    }
#endif
}

Target classify(const void* p, std::size_t bytes, const char** why) {
    const auto* c = static_cast<const char*>(p);
    Target target = Target::Bad;
    if (inSharedOrStack(p, bytes, &target, why)) return target;
    if (const auto it = find(p); it != allocations().end()) {
        if (c + bytes <= it->first + it->second.bytes)
            return it->second.kind == Memory::Pinned ? Target::Pinned : Target::Device;
        *why = "beyond the end of its buffer";
        return Target::Bad;
    }
    if ((c >= &::__executable_start && c < &::end) || inArguments(p)) return Target::Own;
    *why = "memory that no device sees";
    return Target::Bad;
}

}  // namespace cushim

cudaError_t cudaFree(void* p) {
    return cushim::freeOf(p, false);
}
cudaError_t cudaFreeHost(void* p) {
    return cushim::freeOf(p, true);
}
cudaError_t cudaMemGetInfo(std::size_t* available, std::size_t* total) {
    *total = *available = cushim::pretence.availableBytes;
    for (const auto& [p, allocation] : cushim::allocations())
        if (allocation.kind != cushim::Memory::Pinned) *available -= allocation.bytes;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
    *count = cushim::pretence.error == 0 ? 1 : 0;
    return static_cast<cudaError_t>(cushim::pretence.error);
}
cudaError_t cudaSetDevice(int) {
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    const cushim::Pretence& p = cushim::pretence;
    *properties = {"cushim (no GPU: kernels run on the host)", p.availableBytes, p.major, p.minor, 1};
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
    *version = cushim::pretence.driver;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}
const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaSuccess ? "no error" : "cushim error";
}
cudaError_t cudaGetLastError() {
    return cudaSuccess;
}
