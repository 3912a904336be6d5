#include "kv/memory_tier.h"

#include <cassert>

namespace carrel {

namespace {

// slotOf_ per index; owner_, free_, pin_, standing_ and links_ per slot.
constexpr std::uint64_t kIndexBytes = 4, kSlotBytes = 4 + 4 + 4 + 1 + 8;

}  // namespace

std::uint64_t MemoryTier::bytes(std::size_t slotBytes, std::uint64_t slots, std::uint64_t indices) {
    return slots * (slotBytes + kSlotBytes) + indices * kIndexBytes;
}

std::uint32_t MemoryTier::slotsIn(std::uint64_t budgetBytes, std::size_t slotBytes, std::uint64_t indices) {
    if (budgetBytes <= indices * kIndexBytes) return 0;
    const std::uint64_t slots = (budgetBytes - indices * kIndexBytes) / (slotBytes + kSlotBytes);
    return static_cast<std::uint32_t>(std::min(slots, indices));
}

Result<MemoryTier> MemoryTier::make(Backend& backend, std::size_t slotBytes, std::uint32_t slots,
                                    std::uint32_t indices) {
    MemoryTier tier;
    tier.slotBytes_ = slotBytes;
    tier.slots_ = slots;
    if (slots == 0) return tier;
    auto arena = backend.allocate(slots * slotBytes);
    if (!arena) return arena.error();
    tier.arena_ = std::move(*arena);
    tier.slotOf_.assign(indices, kNone);
    tier.owner_.assign(slots, kNone);
    tier.pin_.assign(slots, 0);
    tier.standing_.assign(slots, Standing::Used);
    tier.links_.resize(slots + 2);
    tier.free_.reserve(slots);
    tier.eraseAll();
    return tier;
}

void MemoryTier::eraseAll() {
    if (slots_ == 0) return;
    for (std::uint32_t slot = 0; slot < slots_; ++slot)
        if (owner_[slot] != kNone) slotOf_[owner_[slot]] = kNone;
    owner_.assign(slots_, kNone);
    free_.clear();
    for (std::uint32_t slot = slots_; slot-- > 0;) free_.push_back(slot);
    for (const std::uint32_t end : {slots_, slots_ + 1}) links_[end] = {end, end};
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
    unlink(slot);
    link(slot, slots_);
}

std::byte* MemoryTier::insert(std::uint32_t index, Standing standing) {
    assert(!has(index) && !free_.empty());
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    slotOf_[index] = slot;
    owner_[slot] = index;
    standing_[slot] = standing;
    pin_[slot] = 0;
    link(slot, slots_ + (standing == Standing::Used ? 0 : 1));
    return at(index);
}

void MemoryTier::erase(std::uint32_t index) {
    const std::uint32_t slot = slotOf_[index];
    unlink(slot);
    slotOf_[index] = kNone;
    owner_[slot] = kNone;
    free_.push_back(slot);
}

std::optional<std::uint32_t> MemoryTier::oldest() const {
    if (slots_ == 0) return {};
    for (const std::uint32_t end : {slots_ + 1, slots_})
        for (std::uint32_t slot = links_[end].newer; slot != end; slot = links_[slot].newer)
            if (pin_[slot] != epoch_) return owner_[slot];
    return {};
}

}  // namespace carrel
