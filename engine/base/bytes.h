#pragma once

#include <carrel/result.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace carrel {

static_assert(std::endian::native == std::endian::little, "files are little-endian and read as they lie");

/// Bounds-checked reading from bytes that nobody trusts. Every read past the end is Truncated, with the name and the
/// offset.
class ByteReader {
  public:
    ByteReader(std::span<const std::byte> bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}

    template <class T>
    requires std::is_trivially_copyable_v<T> Result<T> read() {
        if (left() < sizeof(T)) return truncated();
        T value;
        std::memcpy(&value, bytes_.data() + at_, sizeof(T));
        at_ += sizeof(T);
        return value;
    }
    Result<std::span<const std::byte>> take(std::uint64_t count) {
        if (left() < count) return truncated();
        const auto part = bytes_.subspan(at_, count);
        at_ += count;
        return part;
    }
    std::size_t left() const { return bytes_.size() - at_; }
    std::size_t offset() const { return at_; }
    std::string where() const { return name_ + " at byte " + std::to_string(at_); }
    Error truncated() const { return {Code::Truncated, where(), "the file ends here"}; }

  private:
    std::span<const std::byte> bytes_;
    std::string name_;
    std::size_t at_ = 0;
};

/// Appends values as they lie in memory.
class ByteWriter {
  public:
    template <class T>
    requires std::is_trivially_copyable_v<T>
    void write(const T& value) { write(std::as_bytes(std::span(&value, 1))); }
    void write(std::span<const std::byte> bytes) {
        // Not insert(): GCC 14 takes the bounds of a copy that it never makes for wrong.
        out_.resize(out_.size() + bytes.size());
        std::copy(bytes.begin(), bytes.end(), out_.end() - static_cast<std::ptrdiff_t>(bytes.size()));
    }
    const std::vector<std::byte>& bytes() const { return out_; }

  private:
    std::vector<std::byte> out_;
};

}  // namespace carrel
