#include "kv/cache.h"

#include <cassert>

namespace carrel {

namespace {

constexpr std::uint32_t groupsOf(std::uint32_t tokens) {
    return (tokens + kGroupTokens - 1) / kGroupTokens;
}

}  // namespace

KvBlock::KvBlock(Buffer buffer, KvShape shape, std::uint32_t first, std::uint32_t tokens)
    : buffer_(std::move(buffer)), shape_(shape), first_(first), tokens_(tokens), groups_(groupsOf(tokens)) {}

Result<std::shared_ptr<KvBlock>> KvBlock::make(Backend& backend, KvShape shape, std::uint32_t first,
                                               std::uint32_t tokens, MemoryKind kind) {
    assert(first % kGroupTokens == 0 && tokens > 0);
    auto buffer =
        backend.allocate(std::size_t{shape.layers} * shape.kvHeads * groupsOf(tokens) * shape.groupBytes(), kind);
    if (!buffer) return buffer.error();
    std::shared_ptr<KvBlock> block(new KvBlock(std::move(*buffer), shape, first, tokens));
    if (tokens % kGroupTokens == 0) return block;
    std::vector<CopyPiece> zeros;
    for (std::uint32_t layer = 0; layer < shape.layers; ++layer)
        for (std::uint32_t head = 0; head < shape.kvHeads; ++head)
            zeros.push_back({block->keys(layer, head, tokens / kGroupTokens), nullptr, shape.groupBytes()});
    backend.copy(zeros);
    return block;
}

Result<std::shared_ptr<KvBlock>> KvBlock::onDevice(Backend& backend) const {
    auto block = make(backend, shape_, first_, tokens_);
    if (!block) return block;
    const CopyPiece all[] = {{(*block)->buffer_.as<void>(), buffer_.as<void>(), bytes()}};
    backend.copy(all);
    return block;
}

std::uint16_t* KvBlock::keys(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const {
    const std::size_t index = (std::size_t{layer} * shape_.kvHeads + head) * groups_ + group;
    return buffer_.as<std::uint16_t>(index * shape_.groupBytes());
}

std::uint16_t* KvBlock::values(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const {
    return keys(layer, head, group) + std::size_t{kGroupTokens} * shape_.headDim;
}

std::uint64_t KvSequence::bytes() const {
    std::uint64_t sum = 0;
    for (const auto& block : blocks_) sum += block->bytes();
    return sum;
}

void KvBlock::grow(std::uint32_t tokens) {
    tokens_ += tokens;
    assert(groupsOf(tokens_) == groups_);
}

void KvSequence::push(std::shared_ptr<KvBlock> block) {
    const std::uint32_t whole = tokens_ / kGroupTokens * kGroupTokens;
    assert(block->first() == whole);
    truncate(whole);
    tokens_ = whole + block->tokens();
    used_.push_back(block->tokens());
    blocks_.push_back(std::move(block));
}

void KvSequence::truncate(std::uint32_t tokens) {
    assert(tokens >= first_ && tokens <= tokens_);
    tokens_ = tokens;
    while (!blocks_.empty() && blocks_.back()->first() >= tokens) {
        blocks_.pop_back();
        used_.pop_back();
    }
    if (!blocks_.empty()) used_.back() = std::min(used_.back(), tokens - blocks_.back()->first());
}

void KvSequence::copyGroup(std::uint32_t group, std::uint32_t tokens, const KvBlock& to,
                           std::vector<CopyPiece>& pieces) const {
    auto from = blocks_.end() - 1;
    while ((*from)->first() > group * kGroupTokens) --from;
    const std::uint32_t in = group - (*from)->first() / kGroupTokens, out = group - to.first() / kGroupTokens;
    const std::size_t bytes = std::size_t{tokens} * shape_.headDim * sizeof(std::uint16_t);
    for (std::uint32_t layer = 0; layer < shape_.layers; ++layer)
        for (std::uint32_t head = 0; head < shape_.kvHeads; ++head) {
            pieces.push_back({to.keys(layer, head, out), (*from)->keys(layer, head, in), bytes});
            pieces.push_back({to.values(layer, head, out), (*from)->values(layer, head, in), bytes});
        }
}

Result<std::shared_ptr<KvBlock>> KvSequence::extend(Backend& backend, std::uint32_t count) const {
    const std::uint32_t whole = tokens_ / kGroupTokens * kGroupTokens, started = tokens_ - whole;
    if (started > 0 && started + count <= kGroupTokens && blocks_.back()->first() == whole &&
        blocks_.back()->tokens() == started && blocks_.back().use_count() == 1) {
        blocks_.back()->grow(count);
        return blocks_.back();
    }
    auto block = KvBlock::make(backend, shape_, whole, started + count);
    if (!block || started == 0) return block;
    std::vector<CopyPiece> pieces;
    copyGroup(whole / kGroupTokens, started, **block, pieces);
    backend.copy(pieces);
    return block;
}

Result<std::shared_ptr<KvBlock>> KvSequence::gather(Backend& backend, std::uint32_t first, MemoryKind kind) const {
    auto block = KvBlock::make(backend, shape_, first, tokens_ - first, kind);
    if (!block) return block;
    std::vector<CopyPiece> pieces;
    for (std::uint32_t at = first; at < tokens_; at += kGroupTokens)
        copyGroup(at / kGroupTokens, std::min(kGroupTokens, tokens_ - at), **block, pieces);
    backend.copy(pieces);
    if (kind == MemoryKind::Host)
        if (auto done = backend.wait(backend.record()); !done) return done.error();
    return block;
}

void KvSequence::runs(std::uint32_t layer, std::uint32_t head, const KvBlock* open, std::vector<KvRun>& out) const {
    const auto add = [&](const KvBlock& block, std::uint32_t tokens) {
        for (std::uint32_t at = 0; at < tokens; at += kGroupTokens)
            out.push_back({block.keys(layer, head, at / kGroupTokens),
                           block.values(layer, head, at / kGroupTokens),
                           block.first() + at,
                           std::min(kGroupTokens, tokens - at),
                           {},
                           {}});
    };
    const std::uint32_t end = open != nullptr ? open->first() : tokens_;
    for (std::size_t i = 0; i < blocks_.size(); ++i)
        if (blocks_[i]->first() < end) add(*blocks_[i], std::min(used_[i], end - blocks_[i]->first()));
    if (open != nullptr) add(*open, open->tokens());
}

}  // namespace carrel
