#pragma once

#include <cstddef>
#include <memory>

namespace carrel {

/// Memory that is not the heap's, in whole pages, zero: glibc's finds no hole for what is aligned, and grew by every
/// batch of a reading. Huge pages where it is large: to touch hundreds of megabytes in 4 KiB pages costs more than to
/// read them from disk, and memory is read more slowly through them. Null: no memory.
void* mapPages(std::size_t bytes);
void unmapPages(void* data, std::size_t bytes);

/// Memory for weights: zero, 64-byte aligned, those of a layer side by side in huge pages. A region goes with the last
/// weight in it; the newest stays for those that follow. One thread calls.
class WeightMemory {
  public:
    std::shared_ptr<std::byte> take(std::size_t bytes);  // null: no memory

  private:
    std::shared_ptr<std::byte> region_;
    std::size_t left_ = 0;  // of it, at its end
};

}  // namespace carrel
