#include "compute/cpu/pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

namespace carrel {

namespace {

constexpr std::size_t kPage = 4096, kHugePage = std::size_t{2} << 20, kRegion = std::size_t{32} << 20;

std::size_t roundUp(std::size_t bytes, std::size_t to) {
    return std::max(to, (bytes + to - 1) / to * to);
}

std::size_t alignment(std::size_t bytes) {
    return bytes >= kHugePage ? kHugePage : kPage;
}

}  // namespace

void* mapPages(std::size_t bytes) {
    const std::size_t align = alignment(bytes), all = roundUp(bytes, align), extra = align - kPage;
    void* const mapped = ::mmap(nullptr, all + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    auto* const first = static_cast<std::byte*>(mapped);
    const std::size_t before = (align - reinterpret_cast<std::uintptr_t>(first) % align) % align;
    if (before > 0) ::munmap(first, before);
    if (before < extra) ::munmap(first + before + all, extra - before);
    if (align == kHugePage) ::madvise(first + before, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
    return first + before;
}

void unmapPages(void* data, std::size_t bytes) {
    ::munmap(data, roundUp(bytes, alignment(bytes)));
}

std::shared_ptr<std::byte> WeightMemory::take(std::size_t bytes) {
    const std::size_t need = roundUp(bytes, 64);
    const auto map = [](std::size_t size) {
        auto* const data = static_cast<std::byte*>(mapPages(size));
        return data == nullptr ? nullptr
                               : std::shared_ptr<std::byte>(data, [size](std::byte* at) { unmapPages(at, size); });
    };
    if (need > kRegion / 4) return map(need);
    if (need > left_) {
        region_ = map(kRegion);
        if (!region_) return nullptr;
        left_ = kRegion;
    }
    std::shared_ptr<std::byte> piece(region_, region_.get() + (kRegion - left_));
    left_ -= need;
    return piece;
}

}  // namespace carrel
