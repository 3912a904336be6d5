#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "store/reading_store.h"

namespace carrel {

/// Consecutive KV in memory as it lies on disk: payload [layers, kvHeads, groups, groupBytes] of KvBatch, first a
/// multiple of 64. Computed tokens never change; sequences share blocks. Kind Host: for what the disk is read to or
/// written from.
class KvBlock {
  public:
    /// NoMemory. An unfinished last group is zero; whole groups hold anything, and whoever makes the block fills them.
    static Result<std::shared_ptr<KvBlock>> make(Backend& backend, KvShape shape, std::uint32_t first,
                                                 std::uint32_t tokens, MemoryKind kind = MemoryKind::Device);
    /// The same in memory of kind Device, where attention is at it.
    Result<std::shared_ptr<KvBlock>> onDevice(Backend& backend) const;

    std::uint32_t first() const { return first_; }
    std::uint32_t tokens() const { return tokens_; }
    std::size_t bytes() const { return buffer_.bytes(); }
    std::span<std::byte> payload() const { return {buffer_.as<std::byte>(), buffer_.bytes()}; }
    std::uint16_t* keys(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const;    // [64, headDim]
    std::uint16_t* values(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const;  // [64, headDim]
    /// More tokens in the last group, which has room for them.
    void grow(std::uint32_t tokens);

  private:
    KvBlock(Buffer buffer, KvShape shape, std::uint32_t first, std::uint32_t tokens);
    Buffer buffer_;
    KvShape shape_;
    std::uint32_t first_, tokens_, groups_;
};

/// KV in f16 that one sequence attends over, from token `first` (a multiple of 64) on: blocks in ascending order
/// without gap, every group whole in one block. Tokens count from the sequence's own first, what comes before included.
class KvSequence {
  public:
    explicit KvSequence(KvShape shape, std::uint32_t first = 0) : shape_(shape), first_(first), tokens_(first) {}

    KvShape shape() const { return shape_; }
    std::uint32_t first() const { return first_; }
    std::uint32_t tokens() const { return tokens_; }
    std::uint64_t bytes() const;

    /// Adds a block with computed KV; block.first is tokens() rounded down to 64 (it then replaces the unfinished
    /// group).
    void push(std::shared_ptr<KvBlock> block);
    /// Room for `count` more tokens: a block from tokens() rounded down to 64 with the unfinished group's KV in it, or
    /// the last block itself where it starts there, has the room and is nobody else's. The caller fills [tokens(),
    /// tokens() + count), layer by layer, and then calls push().
    Result<std::shared_ptr<KvBlock>> extend(Backend& backend, std::uint32_t count) const;
    /// Forgets what follows the first `tokens`.
    void truncate(std::uint32_t tokens);
    /// One block with the KV of [first, tokens()), first a multiple of 64 below tokens(); zero past its last token. Of
    /// kind Host it is there on return.
    Result<std::shared_ptr<KvBlock>> gather(Backend& backend, std::uint32_t first, MemoryKind kind) const;

    /// Adds the runs of one layer and head over all blocks, and over `open` (a block from extend()) behind them where
    /// given.
    void runs(std::uint32_t layer, std::uint32_t head, const KvBlock* open, std::vector<KvRun>& out) const;

  private:
    void copyGroup(std::uint32_t group, std::uint32_t tokens, const KvBlock& to, std::vector<CopyPiece>& pieces) const;
    KvShape shape_;
    std::uint32_t first_, tokens_;
    std::vector<std::shared_ptr<KvBlock>> blocks_;
    std::vector<std::uint32_t> used_;  // tokens of each block that count: a later block took over the rest
};

}  // namespace carrel
