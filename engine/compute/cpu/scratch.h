#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace carrel {

/// 64-byte aligned memory that only grows, so that a warm step allocates nothing.
class Scratch {
  public:
    std::byte* need(std::size_t bytes) {
        if (bytes > bytes_) {
            memory_.reset(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64})));
            bytes_ = bytes;
        }
        return memory_.get();
    }

  private:
    struct Free {
        void operator()(std::byte* at) const { ::operator delete (at, std::align_val_t{64}); }
    };
    std::unique_ptr<std::byte, Free> memory_;
    std::size_t bytes_ = 0;
};

/// Hands out parts of one Scratch: measured with a null base first, then laid out.
class Carver {
  public:
    explicit Carver(std::byte* base = nullptr) : base_(base) {}
    template <class T>
    T* take(std::size_t count) {
        const std::size_t at = used_;
        used_ += (count * sizeof(T) + 63) / 64 * 64;
        return base_ ? reinterpret_cast<T*>(base_ + at) : nullptr;
    }
    std::size_t used() const { return used_; }

  private:
    std::byte* base_;
    std::size_t used_ = 0;
};

}  // namespace carrel
