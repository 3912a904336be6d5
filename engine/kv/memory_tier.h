#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "compute/backend.h"

namespace carrel {

/// Why something is in a tier: it was used; used once, and likely not again soon; or read ahead, and not used yet.
enum class Standing : std::uint8_t { Used, Passing, Guess };

/// Device or host: slots of one size in one arena, found by index (all of layer 0, then of layer 1, ...). First goes
/// what is passing or a guess; then what its layer has not used for the most steps, and among equals what belongs to
/// the layer that comes last from here: layers are visited in turn, and plain LRU would drop just what the next layer
/// needs. What is pinned goes never.
class MemoryTier {
  public:
    MemoryTier() = default;  // no slots
    /// NoMemory.
    static Result<MemoryTier> make(Backend& backend, MemoryKind kind, std::size_t slotBytes, std::uint32_t slots,
                                   std::uint32_t layers, std::uint32_t indicesPerLayer);
    /// Of the arena and the tables.
    static std::uint64_t bytes(std::size_t slotBytes, std::uint64_t slots, std::uint64_t indices);
    static std::uint32_t slotsIn(std::uint64_t budgetBytes, std::size_t slotBytes, std::uint64_t indices);

    bool has(std::uint32_t index) const { return index < slotOf_.size() && slotOf_[index] != kNone; }
    std::byte* at(std::uint32_t index) const { return arena_.as<std::byte>(slotOf_[index] * slotBytes_); }
    Standing standing(std::uint32_t index) const { return standing_[slotOf_[index]]; }
    bool isPinned(std::uint32_t index) const { return pin_[slotOf_[index]] == epoch_; }
    std::uint32_t slots() const { return slots_; }
    std::uint32_t freeSlots() const { return static_cast<std::uint32_t>(free_.size()); }
    std::uint64_t usedBytes() const { return (slots_ - free_.size()) * std::uint64_t{slotBytes_}; }

    /// Makes it the newest of what is used.
    void touch(std::uint32_t index);
    void pin(std::uint32_t index) { pin_[slotOf_[index]] = epoch_; }
    /// A step of a layer begins; nothing is pinned any more.
    void begin(std::uint32_t layer);
    /// As the newest, in a free slot: there is one. What is at the result is the caller's to fill.
    std::byte* insert(std::uint32_t index, Standing standing = Standing::Used);
    void erase(std::uint32_t index);
    void eraseAll();
    /// What goes first; nothing where all is pinned.
    std::optional<std::uint32_t> oldest() const;

  private:
    static constexpr std::uint32_t kNone = UINT32_MAX;
    struct Link {
        std::uint32_t older, newer;
    };
    std::uint32_t layerOf(std::uint32_t slot) const { return owner_[slot] / perLayer_; }
    std::uint32_t oldestIn(std::uint32_t ring) const;
    void unlink(std::uint32_t slot);
    void link(std::uint32_t slot, std::uint32_t end);

    Buffer arena_;
    std::size_t slotBytes_ = 0;
    std::uint32_t slots_ = 0, epoch_ = 1, layers_ = 0, perLayer_ = 1, layer_ = 0;
    std::vector<std::uint32_t> slotOf_, owner_, free_, pin_, used_;  // used: step of its layer
    std::vector<std::uint32_t> steps_;                               // of each layer
    std::vector<Standing> standing_;
    std::vector<Link> links_;  // of slots, then the ends of rings: used, by layer; all others
};

}  // namespace carrel
