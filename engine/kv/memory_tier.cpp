#include "kv/memory_tier.h"

#include <algorithm>
#include <cassert>

namespace carrel {

namespace {

// slotOf_ per index; owner_, free_, pin_, used_, standing_ and links_ per slot.
constexpr std::uint64_t kIndexBytes = 4, kSlotBytes = 4 + 4 + 4 + 4 + 1 + 8;

}  // namespace

std::uint64_t MemoryTier::bytes(std::size_t slotBytes, std::uint64_t slots, std::uint64_t indices) {
    return slots * (slotBytes + kSlotBytes) + indices * kIndexBytes;
}

std::uint32_t MemoryTier::slotsIn(std::uint64_t budgetBytes, std::size_t slotBytes, std::uint64_t indices) {
    if (budgetBytes <= indices * kIndexBytes) return 0;
    const std::uint64_t slots = (budgetBytes - indices * kIndexBytes) / (slotBytes + kSlotBytes);
    return static_cast<std::uint32_t>(std::min(slots, indices));
}

Result<MemoryTier> MemoryTier::make(Backend& backend, MemoryKind kind, std::size_t slotBytes, std::uint32_t slots,
                                    std::uint32_t layers, std::uint32_t indicesPerLayer) {
    MemoryTier tier;
    tier.slotBytes_ = slotBytes;
    tier.slots_ = slots;
    if (slots == 0) return tier;
    auto arena = backend.allocate(slots * slotBytes, kind);
    if (!arena) return arena.error();
    tier.arena_ = std::move(*arena);
    tier.layers_ = layers;
    tier.perLayer_ = indicesPerLayer;
    tier.slotOf_.assign(std::size_t{layers} * indicesPerLayer, kNone);
    tier.owner_.assign(slots, kNone);
    tier.pin_.assign(slots, 0);
    tier.used_.assign(slots, 0);
    tier.standing_.assign(slots, Standing::Used);
    tier.steps_.assign(layers, 0);
    tier.links_.resize(slots + layers + 1);
    tier.free_.reserve(slots);
    tier.eraseAll();
    return tier;
}

void MemoryTier::begin(std::uint32_t layer) {
    ++epoch_;
    layer_ = layer;
    if (slots_ > 0) ++steps_[layer];
}

void MemoryTier::eraseAll() {
    if (slots_ == 0) return;
    for (std::uint32_t slot = 0; slot < slots_; ++slot)
        if (owner_[slot] != kNone) slotOf_[owner_[slot]] = kNone;
    owner_.assign(slots_, kNone);
    free_.clear();
    for (std::uint32_t slot = slots_; slot-- > 0;) free_.push_back(slot);
    for (std::uint32_t ring = slots_; ring <= slots_ + layers_; ++ring) links_[ring] = {ring, ring};
}

void MemoryTier::unlink(std::uint32_t slot) {
    links_[links_[slot].older].newer = links_[slot].newer;
    links_[links_[slot].newer].older = links_[slot].older;
}

void MemoryTier::link(std::uint32_t slot, std::uint32_t end) {
    links_[slot] = {links_[end].older, end};
    links_[links_[end].older].newer = slot;
    links_[end].older = slot;
}

void MemoryTier::touch(std::uint32_t index) {
    const std::uint32_t slot = slotOf_[index];
    standing_[slot] = Standing::Used;
    used_[slot] = steps_[layerOf(slot)];
    unlink(slot);
    link(slot, slots_ + layerOf(slot));
}

std::byte* MemoryTier::insert(std::uint32_t index, Standing standing) {
    assert(!has(index) && !free_.empty());
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    slotOf_[index] = slot;
    owner_[slot] = index;
    standing_[slot] = standing;
    used_[slot] = steps_[layerOf(slot)];
    pin_[slot] = 0;
    link(slot, slots_ + (standing == Standing::Used ? layerOf(slot) : layers_));
    return at(index);
}

void MemoryTier::erase(std::uint32_t index) {
    const std::uint32_t slot = slotOf_[index];
    unlink(slot);
    slotOf_[index] = kNone;
    owner_[slot] = kNone;
    free_.push_back(slot);
}

std::uint32_t MemoryTier::oldestIn(std::uint32_t ring) const {
    const std::uint32_t end = slots_ + ring;
    for (std::uint32_t slot = links_[end].newer; slot != end; slot = links_[slot].newer)
        if (pin_[slot] != epoch_) return slot;
    return kNone;
}

std::optional<std::uint32_t> MemoryTier::oldest() const {
    if (slots_ == 0) return {};
    if (const std::uint32_t slot = oldestIn(layers_); slot != kNone) return owner_[slot];
    std::uint32_t best = kNone, most = 0;
    for (std::uint32_t back = 0; back < layers_; ++back) {  // from this layer, which comes last, backwards
        const std::uint32_t layer = (layer_ + layers_ - back) % layers_, slot = oldestIn(layer);
        if (slot == kNone) continue;
        const std::uint32_t age = steps_[layer] - used_[slot];
        if (best != kNone && age <= most) continue;
        best = slot;
        most = age;
    }
    if (best == kNone) return {};
    return owner_[best];
}

}  // namespace carrel
