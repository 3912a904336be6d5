#pragma once

#include <memory>
#include <vector>

#include "kv/dense_runs.h"
#include "kv/document_kv.h"
#include "kv/layer_stream.h"

namespace carrel {

/// A document of a model with local layers: those keep a window's groups in memory, ready for attention, and the others
/// are a document of their own, resident or tiered.
class SlidingKv final : public DocumentKv {
  public:
    static Result<std::unique_ptr<DocumentKv>> open(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec,
                                                    std::uint32_t capacityGroups, const TierOptions& options,
                                                    const LocalLayers& local);

    KvShape shape() const override { return shape_; }
    KvCodec codec() const override { return codec_; }
    std::uint32_t tokens() const override { return groups_ * kGroupTokens; }
    bool resident() const override { return global_->resident(); }
    bool hasMeans() const override { return global_->hasMeans(); }
    std::uint32_t soundTokens() const override { return std::min(tokens(), global_->soundTokens()); }
    Status append(KvGroups groups) override;
    std::span<const SketchView> sketch(std::uint32_t layer) const override {
        return local_.has(layer) ? std::span<const SketchView>() : global_->sketch(at_[layer]);
    }
    std::span<const std::uint16_t* const> bounds(std::uint32_t layer) const override {
        return local_.has(layer) ? std::span<const std::uint16_t* const>() : global_->bounds(at_[layer]);
    }
    std::uint64_t pinLeaves() const override { return global_->pinLeaves(); }
    std::uint32_t windowGroups() const override { return global_->windowGroups(); }
    Result<std::span<const std::vector<KvRun>>> window(std::uint32_t layer, std::uint32_t first,
                                                       std::uint32_t count) override;
    Result<KvPins> claim(std::uint32_t layer, View<const std::uint16_t, 3> chosen) override {
        return global_->claim(at_[layer], chosen);
    }
    void prefetch(std::uint32_t layer, View<const std::uint16_t, 3> chosen) override {
        global_->prefetch(at_[layer], chosen);
    }
    TierCounters counters() const override;
    void resetCounters() override;
    std::vector<LeafRow> places() const override;

  private:
    SlidingKv(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec, const LocalLayers& local);
    const std::byte* rows(std::uint32_t, std::uint32_t, std::uint32_t) const override { return nullptr; }
    void unpin(std::uint32_t) override {}
    std::size_t rowsBytesOfGroup() const;
    std::size_t gridBytes() const;
    LeafRow localPlaces(std::uint32_t layer, std::uint32_t head) const;
    std::byte* slot(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const;
    Result<std::uint32_t> load(KvStream& stream);
    void place();
    void put(std::uint32_t layer, std::uint32_t head, std::uint32_t group, const std::byte* payload,
             const std::byte* codes);

    Backend& backend_;
    KvShape shape_;
    KvCodec codec_;
    LocalLayers local_;
    std::vector<std::uint32_t> at_;  // [layers]: a layer's place among the local or the global ones
    std::uint32_t localLayers_ = 0, slots_ = 0, groups_ = 0, capacity_ = 0;
    Buffer ring_;  // [local layers, kvHeads, slots_, rows and grid]; group g in slot g % slots_
    LayerStream stream_;
    std::unique_ptr<DocumentKv> global_;
    DenseRuns runs_;
    std::vector<CopyPiece> copies_;
    std::vector<UnpackLeaf> unpack_;
    std::uint64_t hits_ = 0, bytesRead_ = 0;
    std::vector<std::uint32_t> reads_;  // [local layers, kvHeads, capacity]: of each group
};

}  // namespace carrel
