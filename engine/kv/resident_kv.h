#pragma once

#include <vector>

#include "kv/chosen.h"
#include "kv/chunker.h"
#include "kv/dense_runs.h"
#include "kv/document_kv.h"
#include "kv/sketch.h"

namespace carrel {

/// A document that fits the device tier: all rows (codec f16: groups as stored) side by side per layer and head.
class ResidentKv final : public DocumentKv {
  public:
    static std::uint64_t deviceBytes(KvShape shape, KvCodec codec, std::uint32_t capacityGroups);
    /// While it loads batches of so many groups; without the sketch.
    static std::uint64_t hostBytes(KvShape shape, KvCodec codec, std::uint32_t capacityGroups,
                                   std::uint32_t batchGroups);
    static Result<std::unique_ptr<DocumentKv>> open(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec,
                                                    std::uint32_t capacityGroups, const TierOptions& options,
                                                    Sketch::Parts parts);

    KvShape shape() const override { return shape_; }
    KvCodec codec() const override { return codec_; }
    std::uint32_t tokens() const override { return groups_ * kGroupTokens; }
    bool resident() const override { return true; }
    bool hasMeans() const override { return sketch_.hasMeans(); }
    std::uint32_t soundTokens() const override { return tokens(); }
    Status append(KvGroups groups) override;
    std::span<const SketchView> sketch(std::uint32_t layer) const override { return sketch_.views(layer); }
    std::span<const std::uint16_t* const> bounds(std::uint32_t layer) const override { return sketch_.bounds(layer); }
    std::uint64_t pinLeaves() const override { return UINT64_MAX; }
    std::uint32_t windowGroups() const override;
    Result<std::span<const std::vector<KvRun>>> window(std::uint32_t layer, std::uint32_t first,
                                                       std::uint32_t count) override;
    void prefetch(std::uint32_t, View<const std::uint16_t, 3>) override {}
    Result<KvPins> claim(std::uint32_t layer, View<const std::uint16_t, 3> chosen) override;
    TierCounters counters() const override;
    void resetCounters() override;
    std::vector<LeafRow> places() const override;

  private:
    ResidentKv(Backend& backend, KvShape shape, KvCodec codec, std::uint32_t capacityGroups,
               const TierOptions& options);
    const std::byte* rows(std::uint32_t layer, std::uint32_t head, std::uint32_t leaf) const override;
    void unpin(std::uint32_t layer) override;
    std::size_t unitBytes() const;
    std::byte* group(std::size_t row, std::uint32_t group) const;
    template <class Groups>
    void put(const Groups& from, std::uint32_t firstGroup, std::uint32_t groups);

    Backend& backend_;
    KvShape shape_;
    KvCodec codec_;
    std::uint32_t capacity_, groups_ = 0;
    Sketch sketch_;
    Buffer arena_;  // [layers, kvHeads, capacity, unitBytes]
    Chunker chunker_;
    Chosen chosen_;
    DenseRuns runs_;
    std::vector<UnpackLeaf> unpack_;
    TierCounters counters_;
    bool pinned_ = false;
};

}  // namespace carrel
