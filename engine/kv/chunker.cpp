#include "kv/chunker.h"

#include <algorithm>
#include <array>

namespace carrel {

namespace {

constexpr std::uint32_t kMostLeaves = 32;
constexpr std::uint8_t kDesert = 128;
// Steps between two partitions of a layer: its cost, a few nanoseconds a leaf, is then far below 1 % of decoding.
constexpr std::uint32_t kEvery = 32;
// What is recent: use fades by 1/32 a step, about as a choice tends to come back; arrivals are rare and fade by 1/128.
// Fading is done every 8 steps at once.
constexpr int kUseShift = 5, kArrivalShift = 7, kFadeShift = 3;
// A slot that a leaf occupies for its stay keeps another one out, which is read anew; and what was drawn is hindsight.
// On traces (tests/engine/kv/test_chunks.cpp) less than this joins too much.
constexpr double kCrowding = 4;

std::uint16_t faded(std::uint16_t share, int shift) {
    return static_cast<std::uint16_t>(share - ((share + (1 << shift) - 1) >> shift));
}
std::uint16_t raised(std::uint16_t share, int shift) {
    return static_cast<std::uint16_t>(std::min(0xffff, share + (0xffff >> shift)));
}

}  // namespace

Chunker::Chunker(KvShape shape, std::uint32_t capacityLeaves, std::uint32_t fixedTokens, ChunkCosts costs)
    : shape_(shape),
      capacity_(capacityLeaves),
      fixed_(fixedTokens == 0 ? 0 : std::clamp(fixedTokens / kLeafTokens, 1u, kMostLeaves)),
      costs_(costs),
      all_(shape.rows() * capacityLeaves),
      steps_(shape.layers, costs.stay + 1),  // no leaf starts as just used
      found_(shape.kvHeads) {}

std::uint64_t Chunker::bytes(KvShape shape, std::uint32_t capacityLeaves) {
    return shape.rows() * capacityLeaves * sizeof(Leaf) + std::uint64_t{shape.kvHeads} * capacityLeaves * 4;
}

Chunker::Span Chunker::chunkOf(std::size_t row, std::uint32_t leaf) const {
    std::uint32_t first = leaf, leaves = 1;
    if (fixed_ != 0) {
        first = leaf / fixed_ * fixed_;
        leaves = fixed_;
    } else {
        const Leaf& of = all_[row * capacity_ + leaf];
        first = leaf - of.back;
        leaves = of.chunk % kDesert;
    }
    return {first, std::min(leaves, leaves_ - first)};
}

Chunker::Span Chunker::together(std::size_t row, std::uint32_t leaf) const {
    if (fixed_ == 0 && all_[row * capacity_ + leaf].chunk >= kDesert) return {leaf, 1};
    return chunkOf(row, leaf);
}

float Chunker::use(std::size_t row, std::uint32_t leaf) const {
    return static_cast<float>(all_[row * capacity_ + leaf].use) / 65536.0f;
}

void Chunker::choose(std::uint32_t layer, const Chosen& chosen) {
    for (auto& of : found_) of.clear();
    chosen.each([&](std::uint32_t head, std::uint32_t leaf, std::uint16_t) { found_[head].push_back(leaf); });
    step(layer);
}

void Chunker::step(std::uint32_t layer) {
    const std::uint32_t now = ++steps_[layer];
    const auto recent = [&](const Leaf& leaf) { return static_cast<std::uint16_t>(now - leaf.last) <= costs_.stay; };
    for (std::uint32_t head = 0; head < shape_.kvHeads; ++head) {
        Leaf* leaves = all_.data() + (std::size_t{layer} * shape_.kvHeads + head) * capacity_;
        for (std::uint32_t i = 0; i < leaves_ && now % (1u << kFadeShift) == 0; ++i) {
            leaves[i].use = faded(leaves[i].use, kUseShift - kFadeShift);
            leaves[i].arrivals = faded(leaves[i].arrivals, kArrivalShift - kFadeShift);
            leaves[i].drawn = faded(leaves[i].drawn, kArrivalShift - kFadeShift);
        }
        for (const std::uint32_t i : found_[head]) {
            leaves[i].use = raised(leaves[i].use, kUseShift);
            if (recent(leaves[i])) continue;
            leaves[i].arrivals = raised(leaves[i].arrivals, kArrivalShift);
            if (i > 0 && recent(leaves[i - 1])) leaves[i - 1].drawn = raised(leaves[i - 1].drawn, kArrivalShift);
            if (i + 1 < leaves_ && recent(leaves[i + 1])) leaves[i].drawn = raised(leaves[i].drawn, kArrivalShift);
        }
        for (const std::uint32_t i : found_[head]) leaves[i].last = static_cast<std::uint16_t>(now);
        if (fixed_ == 0 && now % kEvery == layer % kEvery) partition(leaves);
    }
}

// From left to right: the next leaf joins the chunk where that lowers what reading and keeping them costs per step.
// What joining saves: an arrival of one while the other is there needs no read. Two that arrive in one step share a
// read in any case. What it costs: an arrival of one reads the groups of the other too, and all of them stay.
void Chunker::partition(Leaf* leaves) const {
    const double price = kCrowding * (costs_.read + costs_.group) / costs_.stay;  // of a slot for a step
    const auto share = [](std::uint16_t value) { return value / 65536.0; };
    const auto groups = [](std::uint32_t from, std::uint32_t end) {
        return (end + kGroupLeaves - 1) / kGroupLeaves - from / kGroupLeaves;
    };
    const auto desert = [&](std::uint32_t i) { return leaves[i].use == 0 && leaves[i].arrivals == 0; };
    const auto stays = [&](double arrivals, double use) { return std::min(1.0, arrivals * costs_.stay + use); };
    for (std::uint32_t first = 0; first < leaves_;) {
        std::uint32_t end = first + 1;
        double arrivals = share(leaves[first].arrivals), use = share(leaves[first].use);
        const bool empty = desert(first);
        for (; end < leaves_ && end - first < kMostLeaves; ++end) {
            if (empty != desert(end)) break;
            if (empty) continue;
            const double next = share(leaves[end].arrivals), drawn = share(leaves[end - 1].drawn);
            const double both = std::max({arrivals, next, arrivals + next - drawn});
            const double bothUse = std::max(use, share(leaves[end].use));
            const std::uint32_t before = groups(first, end), after = groups(first, end + 1);
            const double bytes =
                costs_.group * (arrivals * (after - before) + std::max(0.0, next - drawn) * (after - 1));
            const double kept = (end + 1 - first) * stays(both, bothUse) - (end - first) * stays(arrivals, use) -
                                stays(next, share(leaves[end].use));
            if (bytes + price * kept >= drawn * (costs_.read + costs_.group)) break;
            arrivals = both;
            use = bothUse;
        }
        for (std::uint32_t i = first; i < end; ++i) {
            leaves[i].back = static_cast<std::uint8_t>(i - first);
            leaves[i].chunk = static_cast<std::uint8_t>(end - first + (empty ? kDesert : 0));
        }
        first = end;
    }
}

}  // namespace carrel
