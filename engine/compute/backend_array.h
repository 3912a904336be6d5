#pragma once

#include <carrel/result.h>

#include <algorithm>
#include <span>
#include <vector>

#include "compute/backend.h"

namespace carrel {

/// An array in a backend's memory, which stays when it shrinks. Kind Host: the host reads what a call writes, or the
/// other way round (Backend says when).
template <class T>
class BackendArray {
  public:
    explicit BackendArray(MemoryKind kind = MemoryKind::Host) : kind_(kind) {}

    /// `count` elements of any value. NoMemory: it then has none.
    Status resize(Backend& backend, std::size_t count) {
        size_ = 0;
        if (count * sizeof(T) > buffer_.bytes()) {
            buffer_ = Buffer();  // the old one goes first
            auto made = backend.allocate(count * sizeof(T), kind_);
            if (!made) return made.error();
            buffer_ = std::move(*made);
        }
        size_ = count;
        return {};
    }
    std::size_t size() const { return size_; }
    T* data() const { return buffer_.template as<T>(); }
    T& operator[](std::size_t i) const { return assert(i < size_), data()[i]; }
    std::span<T> span() const { return {data(), size_}; }
    std::vector<T> copy() const { return std::vector<T>(data(), data() + size_); }

  private:
    MemoryKind kind_;
    Buffer buffer_;
    std::size_t size_ = 0;
};

}  // namespace carrel
