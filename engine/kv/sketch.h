#pragma once

#include <carrel/result.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "compute/backend_array.h"
#include "kv/loading.h"
#include "store/reading_store.h"

namespace carrel {

class KvGroups;

/// What a document is judged and estimated from, resident: codes, value means where there is room, key means and the
/// paper's bounds where asked for.
/// row = layer * kvHeads + head. Codec f16 has none of it.
class Sketch {
  public:
    struct Parts {
        bool means = false, keyMeans = false;  // keyMeans: with means
        std::uint32_t boundsTokens = 0;        // 0: no bounds
        MemoryKind kind = MemoryKind::Device;  // of all but bounds, which the host makes
    };
    static Result<Sketch> make(Backend& backend, KvShape shape, KvCodec codec, std::uint32_t capacityGroups,
                               Parts parts);  // NoMemory
    static std::uint64_t bytes(KvShape shape, KvCodec codec, std::uint32_t capacityGroups, Parts parts);

    bool hasMeans() const { return valueMeans_.bytes() > 0; }
    bool hasBounds() const { return bounds_.bytes() > 0; }
    std::span<const SketchView> views(std::uint32_t layer) const;
    std::span<const std::uint16_t* const> bounds(std::uint32_t layer) const;
    /// Of memory that the host may not see.
    const std::byte* codes(std::size_t row, std::uint32_t group) const;
    const std::uint16_t* grid(std::size_t row, std::uint32_t group) const;

    /// Groups of a row come in ascending order. What they come from must stay until enqueued work is done. NoMemory.
    Status put(Backend& backend, KvCodec codec, const KvGroups& groups);
    Status put(Backend& backend, KvCodec codec, const LoadedBatch& batch);
    /// So many groups are there now.
    void setGroups(std::uint32_t groups);

  private:
    /// Groups of one row from `first` on. means null: made from the rest.
    struct Group {
        const std::byte *payload, *codes, *means;
    };
    Status put(Backend& backend, KvCodec codec, std::size_t row, std::uint32_t first, std::span<const Group> groups);
    Status putBounds(Backend& backend, KvCodec codec, std::size_t row, std::uint32_t group, const Group& from);

    KvShape shape_;
    std::uint32_t capacity_ = 0, boundsTokens_ = 0, chunks_ = 0;
    Buffer codes_, keyMeans_, valueMeans_, bounds_;
    BackendArray<std::byte> made_{MemoryKind::Device}, leaves_;  // means; a group's rows, for bounds
    std::vector<SketchView> views_;
    std::vector<const std::uint16_t*> boundsOf_;
};

}  // namespace carrel
