#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "kv/cache.h"
#include "transformer/model.h"

namespace carrel {

/// New tokens of one sequence: ids follow what `past` holds; their KV goes to `open`, which came from
/// past->extend(ids.size()).
struct PassInput {
    const KvSequence* past = nullptr;
    KvBlock* open = nullptr;
    std::span<const std::int32_t> ids;
};

/// Activations of up to `rows` tokens at a time; kept between passes.
class Workspace {
  public:
    static Result<Workspace> make(Backend& backend, const ModelConfig& config, std::size_t rows);
    std::size_t rows() const { return rows_; }

  private:
    friend class Pass;
    std::size_t rows_ = 0;
    Buffer residual_, normed_, query_, key_, value_, attention_, gate_, up_;
};

/// Called after a layer's attention with mass [tokens, heads, leaves] (AttendArgs::mass) of the whole pass.
using MassSink = std::function<void(std::uint32_t layer, View<const float, 3> mass)>;

/// One forward pass over the new tokens of one or more sequences, in steps of about 20 ms at most, so that its thread
/// can look up between them; it may be left lying and taken up again. Decode is a pass of one token per sequence. What
/// it computes for a token depends on that token's sequence alone, never on the batch or on where it was interrupted.
class Pass {
  public:
    /// hiddenWanted: the caller will ask for logits; else the last layer stops at its keys and values.
    Pass(const Model& model, Backend& backend, Workspace& workspace, std::vector<PassInput> inputs, bool hiddenWanted);

    /// Reports mass of all tokens' attention (several times slower; for tails, not for readings).
    void reportMass(MassSink sink) { massSink_ = std::move(sink); }
    /// One part of a layer. False when the pass is complete.
    bool step();
    /// After the last step: logits [vocabulary] of row `row` (rows are the inputs' tokens in order) into out [rowCount,
    /// vocabulary].
    void logits(std::size_t firstRow, std::size_t rowCount, View<float, 2> out);

  private:
    enum class Stage { AttentionIn, Attend, AttentionOut, FfnIn, FfnOut };
    void attentionIn();
    bool attendSlice();  // true when the layer's tokens are through
    void attentionOut();
    void ffnIn();
    void ffnOut();
    View<float, 2> view(const Buffer& buffer, std::size_t cols) const { return {buffer.as<float>(), {rows_, cols}}; }

    const Model& model_;
    Backend& backend_;
    Workspace& work_;
    std::vector<PassInput> inputs_;
    bool hiddenWanted_;
    MassSink massSink_;
    std::size_t rows_ = 0;
    std::vector<std::uint32_t> position_, sequence_;
    std::uint32_t lastPosition_ = 0;
    std::vector<std::vector<KvRun>> runs_;
    std::vector<std::span<const KvRun>> runViews_;
    std::vector<float> mass_;
    std::uint32_t layer_ = 0;
    Stage stage_ = Stage::AttentionIn;
    std::size_t attended_ = 0;
};

}  // namespace carrel
