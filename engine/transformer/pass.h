#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "transformer/model.h"
#include "transformer/pass_attention.h"

namespace carrel {

/// Activations of up to `rows` tokens at a time; kept between passes.
class Workspace {
  public:
    static Result<Workspace> make(Backend& backend, const ModelConfig& config, std::size_t rows);
    std::size_t rows() const { return rows_; }

  private:
    friend class Pass;
    std::size_t rows_ = 0;
    static constexpr std::size_t kLogitRows = 64;  // at a time: 64 rows of a 150K vocabulary are 39 MB
    BackendArray<std::int32_t> likeliest_;
    Buffer residual_, normed_, query_, key_, value_, attention_, gate_, up_, nextQuery_, logits_;
    AttentionMemory attentionMemory_;
};

/// How a pass reads the document before its sequences: all of it, or by a policy. stats may be null.
struct Reads {
    const ReadPolicy* policy = nullptr;
    ReadStats* stats = nullptr;
};

/// One forward pass over the new tokens of one or more sequences, in steps of about 20 ms at most, so that its thread
/// can look up between them; it may be left lying and taken up again. Decode is a pass of one token per sequence. What
/// it computes for a token depends on that token's sequence alone, never on the batch or on where it was interrupted.
class Pass {
  public:
    /// hiddenWanted: the caller will ask for logits; else the last layer stops at its keys and values.
    Pass(const Model& model, Backend& backend, Workspace& workspace, std::vector<PassInput> inputs, bool hiddenWanted,
         Reads reads = {});

    /// Reports mass of all tokens' attention (several times slower; for tails, not for readings).
    void reportMass(MassSink sink) { attention_->reportMass(std::move(sink)); }
    /// One part of a layer. False when the pass is complete. Io, Corrupt: a document's KV could not be had.
    Result<bool> step();
    /// Done, 0 to 1, by layers.
    double fraction() const { return static_cast<double>(layer_) / model_.config.layers; }
    /// All steps.
    Status run();
    /// After the last step: logits [vocabulary] of row `row` (rows are the inputs' tokens in order) into out [rowCount,
    /// vocabulary], which is the host's.
    void logits(std::size_t firstRow, std::size_t rowCount, View<float, 2> out);
    /// The same rows' likeliest ids, where nothing else of the logits is wanted. NoMemory; what the device fails with.
    Status likeliest(std::size_t firstRow, std::span<std::int32_t> out);

  private:
    enum class Stage { AttentionIn, Attend, AttentionOut, FfnIn, FfnOut };
    Result<bool> ended();
    void attentionIn();
    void query(std::uint32_t layer, const Buffer& normed, const Buffer& out);
    void turn(std::uint32_t layer, const Buffer& norm, View<float, 3> x);
    void storeKeysValues();
    void attentionOut();
    void addToResidual(const Buffer& x, std::size_t cols, const Weight& weight, const Buffer& norm);
    void ffnIn();
    void ffnOut();
    template <class Take>
    void eachLogits(std::size_t firstRow, std::size_t rowCount, Take&& take);
    View<float, 2> view(const Buffer& buffer, std::size_t cols) const { return {buffer.as<float>(), {rows_, cols}}; }
    View<float, 3> heads(const Buffer& buffer, std::size_t count) const {
        return {buffer.as<float>(), {rows_, count, model_.config.headDim}};
    }

    const Model& model_;
    Backend& backend_;
    Workspace& work_;
    std::vector<PassInput> inputs_;
    bool hiddenWanted_;
    std::size_t rows_ = 0;
    std::vector<std::uint32_t> position_, sequence_;
    std::unique_ptr<PassAttention> attention_;
    std::uint32_t layer_ = 0;
    Stage stage_ = Stage::AttentionIn;
};

}  // namespace carrel
