#include "transformer/pass.h"

#include <algorithm>
#include <cmath>

namespace carrel {

namespace {

// Multiply-adds of one attention slice: some 15 ms at the 80 GMAC/s that f32 attention reaches on two cores.
constexpr std::uint64_t kSliceMacs = 1'200'000'000;

}  // namespace

Result<Workspace> Workspace::make(Backend& backend, const ModelConfig& config, std::size_t rows) {
    Workspace work;
    work.rows_ = rows;
    const std::size_t queries = std::size_t{config.heads} * config.headDim,
                      keys = std::size_t{config.kvHeads} * config.headDim;
    const std::pair<Buffer*, std::size_t> parts[] = {{&work.residual_, config.hidden},
                                                     {&work.normed_, config.hidden},
                                                     {&work.query_, queries},
                                                     {&work.key_, keys},
                                                     {&work.value_, keys},
                                                     {&work.attention_, queries},
                                                     {&work.gate_, config.ffn},
                                                     {&work.up_, config.ffn}};
    for (const auto& [buffer, cols] : parts) {
        auto made = backend.allocate(rows * cols * sizeof(float));
        if (!made) return made.error();
        *buffer = std::move(*made);
    }
    return work;
}

Pass::Pass(const Model& model, Backend& backend, Workspace& workspace, std::vector<PassInput> inputs, bool hiddenWanted)
    : model_(model), backend_(backend), work_(workspace), inputs_(std::move(inputs)), hiddenWanted_(hiddenWanted) {
    std::vector<std::int32_t> ids;
    for (std::uint32_t s = 0; s < inputs_.size(); ++s) {
        const PassInput& in = inputs_[s];
        for (std::uint32_t i = 0; i < in.ids.size(); ++i) {
            position_.push_back(in.past->tokens() + i);
            sequence_.push_back(s);
        }
        ids.insert(ids.end(), in.ids.begin(), in.ids.end());
        assert(in.open->first() + in.open->tokens() == in.past->tokens() + in.ids.size());
    }
    rows_ = ids.size();
    assert(rows_ > 0 && rows_ <= work_.rows_);
    lastPosition_ = *std::max_element(position_.begin(), position_.end());
    runs_.resize(inputs_.size() * model_.config.kvHeads);
    backend_.embed(*model_.embedding, ids, view(work_.residual_, model_.config.hidden));
}

bool Pass::step() {
    switch (stage_) {
        case Stage::AttentionIn:
            attentionIn();
            if (layer_ + 1 == model_.config.layers && !hiddenWanted_) return false;
            stage_ = Stage::Attend;
            attended_ = 0;
            return true;
        case Stage::Attend:
            if (attendSlice()) stage_ = Stage::AttentionOut;
            return true;
        case Stage::AttentionOut:
            attentionOut();
            stage_ = Stage::FfnIn;
            return true;
        case Stage::FfnIn:
            ffnIn();
            stage_ = Stage::FfnOut;
            return true;
        case Stage::FfnOut:
            ffnOut();
            stage_ = Stage::AttentionIn;
            return ++layer_ < model_.config.layers;
    }
    return false;
}

void Pass::attentionIn() {
    const ModelConfig& c = model_.config;
    const LayerWeights& layer = model_.layers[layer_];
    const std::size_t queries = std::size_t{c.heads} * c.headDim, keys = std::size_t{c.kvHeads} * c.headDim;
    const auto bias = [](const Buffer& b) { return b.bytes() > 0 ? b.as<const float>() : nullptr; };
    backend_.rmsNorm(view(work_.residual_, c.hidden), layer.attentionNorm.as<const float>(), c.rmsEps,
                     view(work_.normed_, c.hidden));
    const MatmulTarget targets[] = {{layer.query.get(), bias(layer.queryBias), view(work_.query_, queries)},
                                    {layer.key.get(), bias(layer.keyBias), view(work_.key_, keys)},
                                    {layer.value.get(), bias(layer.valueBias), view(work_.value_, keys)}};
    backend_.matmul(view(work_.normed_, c.hidden), targets);
    backend_.rope({work_.query_.as<float>(), {rows_, c.heads, c.headDim}}, position_, c.invFreq, c.rope);
    backend_.rope({work_.key_.as<float>(), {rows_, c.kvHeads, c.headDim}}, position_, c.invFreq, c.rope);

    std::vector<std::uint16_t*> keyRows, valueRows;
    for (std::size_t row = 0; row < rows_; ++row) {
        const KvBlock& open = *inputs_[sequence_[row]].open;
        const std::uint32_t at = position_[row] - open.first(), in = at % kGroupTokens;
        for (std::uint32_t head = 0; head < c.kvHeads; ++head) {
            keyRows.push_back(open.keys(layer_, head, at / kGroupTokens) + std::size_t{in} * c.headDim);
            valueRows.push_back(open.values(layer_, head, at / kGroupTokens) + std::size_t{in} * c.headDim);
        }
    }
    backend_.storeF16({work_.key_.as<const float>(), {rows_ * c.kvHeads, c.headDim}}, keyRows);
    backend_.storeF16({work_.value_.as<const float>(), {rows_ * c.kvHeads, c.headDim}}, valueRows);

    runViews_.clear();
    for (std::uint32_t s = 0; s < inputs_.size(); ++s)
        for (std::uint32_t head = 0; head < c.kvHeads; ++head) {
            auto& runs = runs_[s * c.kvHeads + head];
            inputs_[s].past->runs(layer_, head, inputs_[s].open, runs);
            runViews_.emplace_back(runs);
        }
}

bool Pass::attendSlice() {
    const ModelConfig& c = model_.config;
    const std::uint64_t macsPerToken = std::uint64_t{2} * (lastPosition_ + 1) * c.heads * c.headDim;
    const std::size_t count =
        std::min<std::size_t>(rows_ - attended_, std::max<std::uint64_t>(8, kSliceMacs / macsPerToken));
    AttendArgs args;
    args.q = View<const float, 3>(work_.query_.as<const float>(), {rows_, c.heads, c.headDim}).rows(attended_, count);
    args.position = std::span(position_).subspan(attended_, count);
    args.sequence = std::span(sequence_).subspan(attended_, count);
    args.runs = runViews_;
    args.nKvHeads = c.kvHeads;
    args.scale = 1.0f / std::sqrt(static_cast<float>(c.headDim));
    args.out = View<float, 3>(work_.attention_.as<float>(), {rows_, c.heads, c.headDim}).rows(attended_, count);
    const std::size_t leaves = lastPosition_ / kLeafTokens + 1;
    View<float, 3> mass;
    if (massSink_) {
        mass_.resize(rows_ * c.heads * leaves);
        mass = {mass_.data(), {rows_, c.heads, leaves}};
        args.mass = mass.rows(attended_, count);
    }
    backend_.attend(args);
    attended_ += count;
    if (attended_ < rows_) return false;
    if (massSink_) massSink_(layer_, mass);
    return true;
}

void Pass::attentionOut() {
    const ModelConfig& c = model_.config;
    const MatmulTarget target[] = {
        {model_.layers[layer_].output.get(), nullptr, view(work_.residual_, c.hidden), true}};
    backend_.matmul(view(work_.attention_, std::size_t{c.heads} * c.headDim), target);
}

void Pass::ffnIn() {
    const ModelConfig& c = model_.config;
    const LayerWeights& layer = model_.layers[layer_];
    backend_.rmsNorm(view(work_.residual_, c.hidden), layer.ffnNorm.as<const float>(), c.rmsEps,
                     view(work_.normed_, c.hidden));
    const MatmulTarget targets[] = {{layer.gate.get(), nullptr, view(work_.gate_, c.ffn)},
                                    {layer.up.get(), nullptr, view(work_.up_, c.ffn)}};
    backend_.matmul(view(work_.normed_, c.hidden), targets);
    backend_.swiglu(view(work_.gate_, c.ffn), view(work_.up_, c.ffn));
}

void Pass::ffnOut() {
    const ModelConfig& c = model_.config;
    const MatmulTarget target[] = {{model_.layers[layer_].down.get(), nullptr, view(work_.residual_, c.hidden), true}};
    backend_.matmul(view(work_.gate_, c.ffn), target);
}

void Pass::logits(std::size_t firstRow, std::size_t rowCount, View<float, 2> out) {
    assert(hiddenWanted_);
    const ModelConfig& c = model_.config;
    const auto normed = view(work_.normed_, c.hidden).rows(firstRow, rowCount);
    backend_.rmsNorm(view(work_.residual_, c.hidden).rows(firstRow, rowCount), model_.outputNorm.as<const float>(),
                     c.rmsEps, normed);
    const MatmulTarget target[] = {{&model_.logitsWeight(), nullptr, out}};
    backend_.matmul(normed, target);
}

}  // namespace carrel
