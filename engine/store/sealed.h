#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace carrel {

// Every header starts alike: u32 magic, u32 version, u64 checksum of all that comes after these 16 bytes.
inline constexpr std::size_t kSealedFrom = 16;

/// Lays values side by side into memory that is large enough.
class FieldWriter {
  public:
    explicit FieldWriter(std::span<std::byte> out) : out_(out) {}
    template <class... Values>
    void put(const Values&... values) {
        (raw(&values, sizeof values), ...);
    }
    void raw(const void* from, std::size_t bytes) {
        if (bytes > 0) std::memcpy(out_.subspan(at_, bytes).data(), from, bytes);
        at_ += bytes;
    }
    std::size_t at() const { return at_; }

  private:
    std::span<std::byte> out_;
    std::size_t at_ = 0;
};

/// Puts the checksum of out[16, end) at byte 8 and returns it.
std::uint64_t seal(std::span<std::byte> out);
/// Magic, version and checksum of raw, all of which is sealed. Returns the checksum. Truncated, Corrupt, Unsupported.
Result<std::uint64_t> unseal(std::uint32_t magic, std::span<const std::byte> raw, const std::string& where);

}  // namespace carrel
