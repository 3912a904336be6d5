#pragma once

#include <carrel/result.h>

#include <functional>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "compute/backend_array.h"
#include "kv/cache.h"
#include "kv/document_kv.h"
#include "transformer/config.h"
#include "transformer/leaf_history.h"
#include "transformer/read_policy.h"

namespace carrel {

/// New tokens of one sequence: ids follow what `past` holds; their KV goes to `open`, which came from
/// past->extend(ids.size()). Where past starts behind token 0, `document` holds the whole groups before; all inputs of
/// a pass share it. encoded: a document is being read; open's whole groups are encoded into it layer by layer, and
/// tokens read earlier groups as encoded and their own as f16, so that batches do not show in the bits. history: what
/// the sequence's tokens before have chosen by the pass's policy, and then these; null: no leaf is ever new.
struct PassInput {
    const KvSequence* past = nullptr;
    KvBlock* open = nullptr;
    std::span<const std::int32_t> ids;
    DocumentKv* document = nullptr;
    KvGroups* encoded = nullptr;
    LeafHistory* history = nullptr;
};

/// Called after the attention of a layer that is not local with mass [tokens, heads, leaves] (AttendArgs::mass) of the
/// whole pass.
using MassSink = std::function<void(std::uint32_t layer, View<const float, 3> mass)>;

/// What outlives a pass so that the next need not allocate, and the last step's sums per layer, which a layer to come
/// is judged with.
struct AttentionMemory {
    BackendArray<float> state{MemoryKind::Device}, mass, logSumExp, restWeights, restOrigin;
    BackendArray<std::byte> rows{MemoryKind::Device};
    BackendArray<std::uint16_t> chosen, predicted;
    std::vector<BackendArray<float>> lastExact;
};

/// One layer's attention for all rows of a pass, in slices of about 20 ms at most. Full attention goes over the
/// document window by window and then over what is behind it; with a policy, over what is always read, then over what
/// was chosen, then over estimates of the rest. A local layer reads the keys of its sliding window, all of them and no
/// others, with a policy or without.
class PassAttention {
  public:
    PassAttention(Backend& backend, const ModelConfig& config, std::span<const PassInput> inputs,
                  std::span<const std::uint32_t> position, std::span<const std::uint32_t> sequence,
                  const ReadPolicy* policy, ReadStats* stats, AttentionMemory& memory);

    void reportMass(MassSink sink) { massSink_ = std::move(sink); }
    /// Whether this layer is judged ahead.
    bool predicts(std::uint32_t layer) const {
        return policy_ != nullptr && policy_->predict && !document_->resident() && layer < config_.layers &&
               !config_.local.has(layer);
    }
    /// The keys and values of `layer` are in the open blocks. q, out [rows, heads, headDim]; nextQuery: what the next
    /// layer is judged with, where it is predicted.
    void begin(std::uint32_t layer, View<const float, 3> q, View<float, 3> out, View<const float, 3> nextQuery);
    /// True when the layer is done. Io and Corrupt from the document's tiers.
    Result<bool> slice();

  private:
    static const std::uint16_t* gridOf(const std::byte* codes, std::uint32_t headDim) {
        return reinterpret_cast<const std::uint16_t*>(codes + kGroupLeaves * planeLeafBytes(headDim));
    }
    struct Seen {  // leaves that a call wrote mass of, and log-sum-exp [rows, heads] after it
        std::uint32_t firstLeaf, endLeaf;
        std::vector<float> logSumExp;
    };
    struct Portion {  // the same of a call for some of a row's chosen leaves
        std::size_t row;
        std::uint32_t head, firstLeaf, endLeaf;
        std::vector<float> logSumExp;
    };
    struct Cut {  // leaves [first, end) of a run of chosen tokens
        std::uint32_t first, end, tokens;
    };
    std::size_t rows() const { return position_.size(); }
    bool local() const { return config_.local.has(layer_); }
    bool wantsMass() const { return massSink_ && !local(); }
    std::uint32_t firstGroup() const;
    void slide();
    std::uint64_t macsOfRow(std::uint64_t keys) const { return 2 * keys * config_.heads * config_.headDim; }
    std::size_t sliceRows(std::uint64_t keys) const;
    View<float, 3> massView() { return {mass_.data(), {rows(), config_.heads, lastPosition_ / kLeafTokens + 1u}}; }
    View<float, 3> restView() { return {restWeights_.data(), {rows(), config_.heads, documentGroups_ * kGroupLeaves}}; }
    View<float, 2> originView() { return {restOrigin_.data(), {rows(), config_.heads}}; }
    View<float, 2> lseView(const BackendArray<float>& lse) const { return {lse.data(), {rows(), config_.heads}}; }
    View<std::uint16_t, 3> masks(std::vector<std::uint16_t>& memory, std::size_t count) const;
    View<std::uint16_t, 3> masks(BackendArray<std::uint16_t>& memory);
    template <class T>
    void need(BackendArray<T>& array, std::size_t count) {
        if (const auto done = array.resize(backend_, count); !done && memoryStatus_) memoryStatus_ = done;
    }
    const std::uint16_t* grid(const SketchView& sketch, std::uint32_t leaf) const;
    AttendArgs args(std::size_t first, std::size_t count, std::span<const std::uint32_t> sequence);

    void encodeOpen();
    Result<bool> windowSlice();
    Result<bool> lastSlice();
    void tailRuns(std::span<const std::vector<KvRun>> rest);
    void batchRuns(std::span<const std::vector<KvRun>> rest);
    void finishMass();

    // With a policy: pass_selection.cpp.
    Result<bool> selective();
    Status attendAlways(std::uint32_t firstNewest);
    void predictNext();
    void judge(std::uint32_t layer, View<const float, 3> q, View<const float, 2> exact, View<std::uint16_t, 3> chosen,
               bool remember);
    std::uint64_t together(View<const std::uint16_t, 3> chosen) const;
    Status attendChosen(View<const std::uint16_t, 3> chosen, std::uint32_t firstNewest);
    Status attendPortions(View<const std::uint16_t, 3> chosen, std::uint32_t firstNewest);
    std::size_t countLeaves(View<const std::uint16_t, 3> chosen, std::size_t count) const;
    std::vector<Cut> cuts(View<const std::uint16_t, 3> chosen, std::size_t row, std::uint32_t head) const;
    void addRun(const KvPins& pins, View<const std::uint16_t, 3> chosen, std::size_t row, std::uint32_t head,
                const Cut& cut, std::vector<KvRun>& runs);
    void attendRest(std::uint32_t firstNewest);
    void addRest(std::uint32_t head, std::uint32_t first, std::uint32_t end, std::vector<KvRun>& runs) const;
    void countEstimated(const std::vector<float>& read);
    void finishSelectiveMass();
    void count(View<const std::uint16_t, 3> chosen);

    // With policy.oracle: pass_oracle.cpp.
    Status measureMass();
    void chooseByMass(View<std::uint16_t, 3> chosen);
    void weighOthers(View<const std::uint16_t, 3> chosen);

    Backend& backend_;
    const ModelConfig& config_;
    std::span<const PassInput> inputs_;
    std::span<const std::uint32_t> position_, sequence_;
    const ReadPolicy* policy_;
    ReadStats* stats_;
    AttentionMemory& memory_;
    BackendArray<float>&mass_, &lse_, &restWeights_, &restOrigin_;
    BackendArray<std::uint16_t>&chosen_, &predicted_;
    Status memoryStatus_;
    MassSink massSink_;
    DocumentKv* document_;
    std::uint32_t documentGroups_ = 0, newestLeaves_ = 0, firstPosition_ = 0, lastPosition_ = 0;
    std::uint32_t firstJudged_ = 0;  // layer

    std::uint32_t layer_ = 0;
    View<const float, 3> q_, nextQuery_;
    View<float, 3> out_;
    std::uint32_t window_ = 0;  // group up to which whole windows have been attended over
    bool begun_ = false;        // a call has been made, whose state goes on
    std::size_t done_ = 0;      // rows of the call at hand
    bool ready_ = false;        // runs of the last call are there
    // Per row, which runs it reads: its own sequence's (or group's of a batch that is read), all the same, or its own.
    std::vector<std::uint32_t> own_, same_, every_;
    std::vector<std::vector<KvRun>> runs_;  // [.., kvHeads]
    std::vector<std::span<const KvRun>> views_;
    std::vector<KvPick> picks_;
    std::vector<float> chosenLse_, trueMass_;
    std::vector<Seen> windows_;
    std::vector<Portion> portions_;
    std::vector<const std::uint8_t*> lately_;
    std::vector<std::uint16_t> always_, portion_;
};

}  // namespace carrel
