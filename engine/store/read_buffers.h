#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

namespace carrel {

/// Page-aligned memory for reads, kept for the next one, never more than `limit` bytes of it.
class ReadBuffers {
  public:
    explicit ReadBuffers(std::size_t limit) : limit_(limit) {}
    std::size_t limit() const { return limit_; }
    /// Of at least `bytes`, its own until it is given back; empty: not before others are.
    std::span<std::byte> take(std::size_t bytes);
    void giveBack(std::span<std::byte> buffer);
    /// What take(bytes) takes of the limit: a power of two, so that buffers fit one another's place.
    static std::size_t sizeFor(std::size_t bytes);

  private:
    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    struct Buffer {
        std::unique_ptr<std::byte, Free> memory;
        std::size_t bytes;
        bool taken;
    };
    std::size_t limit_, held_ = 0;
    std::vector<Buffer> buffers_;
};

}  // namespace carrel
