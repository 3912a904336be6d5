#include "store/read_buffers.h"

#include <algorithm>
#include <bit>

namespace carrel {

namespace {
constexpr std::size_t kPageBytes = 4096, kSmallest = std::size_t{16} << 10;
}

std::size_t ReadBuffers::sizeFor(std::size_t bytes) {
    return std::bit_ceil(std::max(bytes, kSmallest));
}

std::span<std::byte> ReadBuffers::take(std::size_t bytes) {
    bytes = sizeFor(bytes);
    for (auto& buffer : buffers_)
        if (!buffer.taken && buffer.bytes == bytes) {
            buffer.taken = true;
            return {buffer.memory.get(), bytes};
        }
    while (held_ + bytes > limit_) {
        const auto idle = std::find_if(buffers_.begin(), buffers_.end(), [](const Buffer& b) { return !b.taken; });
        if (idle == buffers_.end()) return {};
        held_ -= idle->bytes;
        buffers_.erase(idle);
    }
    std::unique_ptr<std::byte, Free> memory(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, bytes)));
    if (memory == nullptr) return {};
    held_ += bytes;
    buffers_.push_back({std::move(memory), bytes, true});
    return {buffers_.back().memory.get(), bytes};
}

void ReadBuffers::giveBack(std::span<std::byte> buffer) {
    for (auto& own : buffers_)
        if (own.memory.get() == buffer.data()) own.taken = false;
}

}  // namespace carrel
