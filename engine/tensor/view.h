#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <type_traits>

namespace carrel {

/// A typed pointer with a shape; owns nothing. The last index is contiguous, rows of the first may be apart (stride of
/// dimension 0, in elements). Memory is the backend's that the pointer came from.
template <class T, std::size_t Rank>
class View {
  public:
    View() = default;
    View(T* data, std::array<std::size_t, Rank> shape) : View(data, shape, inner(shape)) {}
    View(T* data, std::array<std::size_t, Rank> shape, std::size_t stride)
        : data_(data), shape_(shape), stride_(stride) {
        assert(stride >= inner(shape));
    }
    operator View<const T, Rank>() const requires(!std::is_const_v<T>) { return {data_, shape_, stride_}; }

    T* data() const { return data_; }
    std::size_t size(std::size_t dim) const { return shape_[dim]; }
    std::size_t stride() const { return stride_; }
    T* row(std::size_t i) const { return assert(i < shape_[0]), data_ + i* stride_; }
    View rows(std::size_t first, std::size_t count) const {
        assert(first + count <= shape_[0]);
        auto shape = shape_;
        shape[0] = count;
        return {data_ + first * stride_, shape, stride_};
    }

  private:
    static std::size_t inner(const std::array<std::size_t, Rank>& shape) {
        std::size_t n = 1;
        for (std::size_t i = 1; i < Rank; ++i) n *= shape[i];
        return n;
    }
    T* data_ = nullptr;
    std::array<std::size_t, Rank> shape_{};
    std::size_t stride_ = 0;
};

}  // namespace carrel
