#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace carrel {

/// zstd, level 1: a higher one saves 2 % at most of what codecs leave. One thread each.
class Compressor {
  public:
    Compressor();
    ~Compressor();
    /// `from` compressed, valid until the next call; empty where that saves less than 15 %.
    std::span<const std::byte> compress(std::span<const std::byte> from);

  private:
    struct Context;
    std::unique_ptr<Context> context_;
    std::vector<std::byte> out_;
};

class Decompressor {
  public:
    Decompressor();
    ~Decompressor();
    /// Whether `from` is one frame that fills `into` exactly.
    bool decompress(std::span<const std::byte> from, std::span<std::byte> into);
    std::size_t memoryBytes() const;

  private:
    struct Context;
    std::unique_ptr<Context> context_;
};

}  // namespace carrel
