#pragma once

#include <carrel/result.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "kv/loading.h"
#include "store/reading_store.h"

namespace carrel {

/// What a document is judged and estimated from, resident: codes, value means where there is room, key means and the
/// paper's bounds where asked for.
/// row = layer * kvHeads + head. Codec f16 has none of it.
class Sketch {
  public:
    struct Parts {
        bool means = false, keyMeans = false;  // keyMeans: with means
        std::uint32_t boundsTokens = 0;        // 0: no bounds
    };
    static Result<Sketch> make(Backend& backend, KvShape shape, KvCodec codec, std::uint32_t capacityGroups,
                               Parts parts);  // NoMemory
    static std::uint64_t bytes(KvShape shape, KvCodec codec, std::uint32_t capacityGroups, Parts parts);

    bool hasMeans() const { return valueMeans_.bytes() > 0; }
    bool hasBounds() const { return bounds_.bytes() > 0; }
    std::span<const SketchView> views(std::uint32_t layer) const;
    std::span<const std::uint16_t* const> bounds(std::uint32_t layer) const;
    const std::byte* codes(std::size_t row, std::uint32_t group) const;
    const std::uint16_t* grid(std::size_t row, std::uint32_t group) const;

    /// Of an appended group, as encode() gave them.
    void put(std::size_t row, std::uint32_t group, const std::byte* codes, const std::byte* means);
    /// Codes of a loaded batch, and means, where there are any, made from them and from its payload. NoMemory.
    Status put(Backend& backend, KvCodec codec, const LoadedBatch& batch);
    /// The group's leaves as rows (Backend::unpack), after put(). Groups of a row come in ascending order.
    void putBounds(std::size_t row, std::uint32_t group, std::array<const std::byte*, kGroupLeaves> leaves);
    /// So many groups are there now.
    void setGroups(std::uint32_t groups);

  private:
    void putCodes(std::size_t row, std::uint32_t group, const std::byte* codes);
    void putMeans(std::size_t row, std::uint32_t group, const std::byte* means);

    KvShape shape_;
    std::uint32_t capacity_ = 0, boundsTokens_ = 0, chunks_ = 0;
    Buffer codes_, keyMeans_, valueMeans_, bounds_;
    std::vector<SketchView> views_;
    std::vector<const std::uint16_t*> boundsOf_;
};

}  // namespace carrel
