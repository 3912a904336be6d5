#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "kv/document_kv.h"
#include "session/kv_plan.h"
#include "session/loaded_model.h"
#include "store/reading_store.h"

namespace carrel {

/// Tokens that are read once: their KV on disk and on the tiers, batch by batch.
class TokenReading {
  public:
    /// What is stored is used as far as it is whole and of these very ids; the rest is dropped. suspect: every checksum
    /// is looked at. settings decide the codec: key.codec is set here. ids are not empty.
    /// Busy, Corrupt, Unsupported, NoMemory, Io.
    static Result<TokenReading> open(const LoadedModel& model, ReadingStore& store, ReadingKey key,
                                     std::vector<std::int32_t> ids, const KvSettings& settings, bool suspect);

    DocumentKv& kv() const { return *kv_; }           // whole groups
    const KvSequence& rest() const { return rest_; }  // f16, behind them: less than a group
    KvStream& stream() const { return *stream_; }
    const std::optional<ReadPolicy>& policy() const { return policy_; }  // none: everything is read
    TierReport report(const ReadStats& stats, double decodeSeconds) const;
    std::uint32_t tokens() const { return rest_.tokens(); }
    const std::vector<std::int32_t>& ids() const { return ids_; }
    std::uint64_t reusedTokens() const { return reused_; }
    /// What looking at every checksum found when it was opened as suspect.
    const std::optional<KvStream::Check>& found() const { return found_; }
    bool damaged() const { return tokens() < stored_; }  // less than was stored: the rest is to be read again
    bool complete() const { return tokens() == ids_.size(); }

    /// The next `count` tokens (fewer at the end), a multiple of 64; work and this stay where they are until
    /// endBatch().
    Status beginBatch(Workspace& work, std::uint32_t count);
    bool inBatch() const { return pass_.has_value(); }
    /// One step of the batch's pass. False: endBatch() is due.
    Result<bool> step();
    /// Makes the batch durable and visible. On failure (DiskFull, Io) all whole batches stay.
    Status endBatch();
    void dropBatch();

    /// What a token behind everything comes to, under full attention: kept with the reading when it is complete, so
    /// that it can be seen later whether the same comes out. One step.
    Status keepProbe(Workspace& work);
    /// NotFound where none is kept (or the reading has grown).
    Result<bool> probeHolds(Workspace& work);

  private:
    TokenReading(const LoadedModel& model, std::vector<std::int32_t> ids)
        : model_(&model), ids_(std::move(ids)), rest_(model.model().config.kvShape()) {}
    Status loadRest();
    struct Likely {
        std::int32_t id;
        float logit;
    };
    Result<std::vector<Likely>> probe(Workspace& work) const;  // the kProbeIds likeliest, best first

    const LoadedModel* model_;
    std::vector<std::int32_t> ids_;
    std::unique_ptr<KvStream> stream_;
    std::unique_ptr<DocumentKv> kv_;
    KvSequence rest_;
    std::optional<ReadPolicy> policy_;
    std::string profile_ = "measured";  // TierReport::profile
    std::uint64_t reused_ = 0;
    std::optional<KvStream::Check> found_;
    std::uint32_t stored_ = 0;         // tokens that were there when it was opened, good or bad
    std::shared_ptr<KvBlock> open_;    // of the batch at hand,
    std::optional<KvGroups> encoded_;  // and its whole groups as they are stored
    std::optional<Pass> pass_;
};

}  // namespace carrel
