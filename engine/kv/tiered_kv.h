#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "kv/chosen.h"
#include "kv/chunker.h"
#include "kv/document_kv.h"
#include "kv/flights.h"
#include "kv/loading.h"
#include "kv/memory_tier.h"
#include "kv/sketch.h"
#include "kv/windows.h"

namespace carrel {

/// How a document's memory is divided where it does not fit the device tier.
struct TierPlan {
    Sketch::Parts sketch;
    std::uint32_t deviceSlots = 0, hostSlots = 0;  // leaves, groups
    std::uint32_t windowGroups = 0;
    std::uint64_t stagingBytes = 0, loadingBytes = 0;  // loading: before there are slots
    std::uint64_t loadPeakBytes = 0;
    std::uint64_t fixedBytes = 0;        // of host: all but the reader's memory and the slots
    std::uint64_t deviceFixedBytes = 0;  // of device memory of its own: the sketch, and a window's rows

    /// NoMemory, with the smallest workable budgets, where there is too little. batchGroups: of the largest batch that
    /// is loaded. readerBytes: at capacity.
    static Result<TierPlan> make(KvShape shape, KvCodec codec, std::uint32_t capacityGroups, std::uint32_t batchGroups,
                                 std::uint64_t readerBytes, const TierOptions& options);
    /// Means and bounds are made from payloads, which are read for that once.
    LoadParts loaded(KvCodec codec) const { return {sketch.means || sketch.boundsTokens != 0, codec != KvCodec::F16}; }
};

/// A document that does not fit the device tier.
class TieredKv final : public DocumentKv {
  public:
    static Result<std::unique_ptr<DocumentKv>> open(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec,
                                                    std::uint32_t capacityGroups, std::uint32_t batchGroups,
                                                    const TierOptions& options);

    KvShape shape() const override { return shape_; }
    KvCodec codec() const override { return codec_; }
    std::uint32_t tokens() const override { return groups_ * kGroupTokens; }
    bool resident() const override { return false; }
    bool hasMeans() const override { return sketch_.hasMeans(); }
    std::uint32_t soundTokens() const override { return std::min(sound_, groups_) * kGroupTokens; }
    Status append(KvGroups groups) override;
    std::span<const SketchView> sketch(std::uint32_t layer) const override { return sketch_.views(layer); }
    std::span<const std::uint16_t* const> bounds(std::uint32_t layer) const override { return sketch_.bounds(layer); }
    std::uint64_t pinLeaves() const override { return device_.slots(); }
    std::uint32_t windowGroups() const override { return plan_.windowGroups; }
    Result<std::span<const std::vector<KvRun>>> window(std::uint32_t layer, std::uint32_t first,
                                                       std::uint32_t count) override;
    void prefetch(std::uint32_t layer, View<const std::uint16_t, 3> chosen) override;
    Result<KvPins> claim(std::uint32_t layer, View<const std::uint16_t, 3> chosen) override;
    TierCounters counters() const override;
    void resetCounters() override;
    std::vector<LeafRow> places() const override;

  private:
    /// A leaf that is not in the device tier: chosen, or in one chunk with such.
    struct Wanted {
        std::uint32_t head, leaf;
        bool chosen;
        std::uint32_t group() const { return leaf / kGroupLeaves; }
    };
    TieredKv(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec, std::uint32_t capacityGroups,
             const TierOptions& options);
    Status load(const TierPlan& plan);
    const std::byte* rows(std::uint32_t layer, std::uint32_t head, std::uint32_t leaf) const override;
    bool late(std::uint32_t head, std::uint32_t leaf) const override {
        return lateLeaves_ > 0 && late_[head * std::size_t{groups_} * kGroupLeaves + leaf] != 0;
    }
    bool late() const override { return lateLeaves_ > 0; }
    Status complete(std::uint32_t layer) override;
    void unpin(std::uint32_t layer) override;

    std::uint32_t groupIndex(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const {
        return (layer * shape_.kvHeads + head) * capacity_ + group;
    }
    std::uint32_t leafIndex(std::uint32_t layer, std::uint32_t head, std::uint32_t leaf) const {
        return groupIndex(layer, head, 0) * kGroupLeaves + leaf;
    }
    void want(std::uint32_t layer, const Chosen& chosen, std::vector<Wanted>& wanted) const;
    bool bridges(std::uint32_t layer, std::uint32_t head, std::uint32_t from, std::uint32_t to) const;
    void read(std::uint32_t layer, const std::vector<Wanted>& wanted, bool guess);
    std::size_t sort(std::uint32_t layer);
    void reserve(std::uint32_t layer);
    Status arrive(std::uint32_t layer);
    bool makeRoom();
    void unpackInto(std::byte* rows, std::uint32_t layer, std::uint32_t head, std::uint32_t leaf,
                    const std::byte* payload);
    void countInTime(std::uint32_t layer);
    void take(std::uint32_t layer);
    void unpackNow();
    void unpackAhead(std::uint32_t layer);
    std::byte* guessed(std::uint32_t index);
    void place(std::uint32_t layer);
    void placeGuesses(std::uint32_t layer);
    void land(std::uint32_t layer);
    Status landed();
    Status refuse(std::uint32_t layer, std::uint32_t head, std::uint32_t group);
    void leaveWindows();
    void enterWindows();
    std::uint64_t hostUsed() const;
    std::uint64_t deviceUsed() const;

    Backend& backend_;
    KvStream& stream_;
    KvShape shape_;
    KvCodec codec_;
    std::uint32_t capacity_, groups_ = 0, sound_ = UINT32_MAX;
    TierOptions options_;
    TierPlan plan_;
    Sketch sketch_;
    std::unique_ptr<GroupReader> reader_;
    Buffer staging_, windowRows_;  // the latter where they are not in staging
    MemoryTier device_, host_;
    Chunker chunker_;
    std::unique_ptr<Flights> flights_;
    std::unique_ptr<Windows> windows_;  // staging is theirs or the flights'

    Chosen chosen_, ahead_;  // of the pins; of a prefetch
    std::vector<Wanted> wanted_, guessed_;
    // Of the pins: chosen leaves that have a place and nothing in it yet, and slots that no chosen leaf needs.
    std::size_t lateLeaves_ = 0, spare_ = 0;
    std::vector<std::uint8_t> late_;  // [kvHeads, leaves]
    std::vector<UnpackLeaf> unpack_;
    std::vector<std::uint8_t> predicted_;  // per group, a bit per leaf: prefetched, and not used yet
    TierCounters counters_;
    GroupReader::Counters readerStart_;
    std::uint64_t devicePeak_ = 0, hostPeak_ = 0;
    bool pinned_ = false;
    // Of a layer that take() was for, once unpacking is done with what it reads.
    std::optional<std::uint32_t> landing_;
    Event unpacked_;
};

}  // namespace carrel
