#include "transformer/pass.h"

#include <algorithm>

namespace carrel {

namespace {

const float* biasOf(const Buffer& bias) {
    return bias.bytes() > 0 ? bias.as<const float>() : nullptr;
}

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
                                                     {&work.up_, config.ffn},
                                                     {&work.nextQuery_, queries}};
    for (const auto& [buffer, cols] : parts) {
        auto made = backend.allocate(rows * cols * sizeof(float), MemoryKind::Device);
        if (!made) return made.error();
        *buffer = std::move(*made);
    }
    auto logits = backend.allocate(std::min(rows, kLogitRows) * config.vocabulary * sizeof(float), MemoryKind::Device);
    if (!logits) return logits.error();
    work.logits_ = std::move(*logits);
    return work;
}

Pass::Pass(const Model& model, Backend& backend, Workspace& workspace, std::vector<PassInput> inputs, bool hiddenWanted,
           Reads reads)
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
    attention_ = std::make_unique<PassAttention>(backend_, model_.config, inputs_, position_, sequence_, reads.policy,
                                                 reads.stats, work_.attentionMemory_);
    backend_.embed(*model_.embedding, ids, view(work_.residual_, model_.config.hidden), model_.config.embeddingScale);
}

Result<bool> Pass::step() {
    switch (stage_) {
        case Stage::AttentionIn:
            attentionIn();
            if (layer_ + 1 == model_.config.layers && !hiddenWanted_) return ended();
            stage_ = Stage::Attend;
            return true;
        case Stage::Attend: {
            const auto done = attention_->slice();
            if (!done) return done.error();
            if (*done) stage_ = Stage::AttentionOut;
            return true;
        }
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
            if (++layer_ < model_.config.layers) return true;
            return ended();
    }
    return false;
}

/// Step's last word, where all that went wrong shows.
Result<bool> Pass::ended() {
    if (auto done = backend_.wait(backend_.record()); !done) return done.error();
    return false;
}

Status Pass::run() {
    for (;;) {
        const auto more = step();
        if (!more) return more.error();
        if (!*more) return {};
    }
}

void Pass::query(std::uint32_t layer, const Buffer& normed, const Buffer& out) {
    const ModelConfig& c = model_.config;
    const LayerWeights& weights = model_.layers[layer];
    const MatmulTarget target[] = {
        {weights.query.get(), biasOf(weights.queryBias), view(out, std::size_t{c.heads} * c.headDim)}};
    backend_.matmul(view(normed, c.hidden), target);
    turn(layer, weights.queryNorm, heads(out, c.heads));
}

/// Queries or keys as attention takes them.
void Pass::turn(std::uint32_t layer, const Buffer& norm, View<float, 3> x) {
    const ModelConfig& c = model_.config;
    if (c.headNorms) {
        const View<float, 2> each(x.data(), {x.size(0) * x.size(1), x.size(2)});
        backend_.rmsNorm(each, norm.as<const float>(), c.rmsEps, each);
    }
    backend_.rope(x, position_, c.frequencies(layer), c.rope);
}

void Pass::attentionIn() {
    const ModelConfig& c = model_.config;
    const LayerWeights& layer = model_.layers[layer_];
    View<const float, 3> next;
    if (attention_->predicts(layer_ + 1)) {
        // What the next layer will ask for, from what goes into this one.
        const LayerWeights& after = model_.layers[layer_ + 1];
        backend_.rmsNorm(view(work_.residual_, c.hidden), after.attentionNorm.as<const float>(), c.rmsEps,
                         view(work_.normed_, c.hidden));
        query(layer_ + 1, work_.normed_, work_.nextQuery_);
        next = heads(work_.nextQuery_, c.heads);
    }
    const std::size_t queries = std::size_t{c.heads} * c.headDim, keys = std::size_t{c.kvHeads} * c.headDim;
    backend_.rmsNorm(view(work_.residual_, c.hidden), layer.attentionNorm.as<const float>(), c.rmsEps,
                     view(work_.normed_, c.hidden));
    const MatmulTarget targets[] = {{layer.query.get(), biasOf(layer.queryBias), view(work_.query_, queries)},
                                    {layer.key.get(), biasOf(layer.keyBias), view(work_.key_, keys)},
                                    {layer.value.get(), biasOf(layer.valueBias), view(work_.value_, keys)}};
    backend_.matmul(view(work_.normed_, c.hidden), targets);
    turn(layer_, layer.queryNorm, heads(work_.query_, c.heads));
    turn(layer_, layer.keyNorm, heads(work_.key_, c.kvHeads));
    storeKeysValues();
    attention_->begin(layer_, heads(work_.query_, c.heads), heads(work_.attention_, c.heads), next);
}

void Pass::storeKeysValues() {
    const ModelConfig& c = model_.config;
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
}

void Pass::attentionOut() {
    const ModelConfig& c = model_.config;
    const LayerWeights& layer = model_.layers[layer_];
    addToResidual(work_.attention_, std::size_t{c.heads} * c.headDim, *layer.output, layer.attentionPostNorm);
}

void Pass::addToResidual(const Buffer& x, std::size_t cols, const Weight& weight, const Buffer& norm) {
    const ModelConfig& c = model_.config;
    const View<float, 2> residual = view(work_.residual_, c.hidden), apart = view(work_.normed_, c.hidden);
    const MatmulTarget target[] = {{&weight, nullptr, c.postNorms ? apart : residual, !c.postNorms}};
    backend_.matmul(view(x, cols), target);
    if (c.postNorms) backend_.addRmsNorm(apart, norm.as<const float>(), c.rmsEps, residual);
}

void Pass::ffnIn() {
    const ModelConfig& c = model_.config;
    const LayerWeights& layer = model_.layers[layer_];
    backend_.rmsNorm(view(work_.residual_, c.hidden), layer.ffnNorm.as<const float>(), c.rmsEps,
                     view(work_.normed_, c.hidden));
    const MatmulTarget targets[] = {{layer.gate.get(), nullptr, view(work_.gate_, c.ffn)},
                                    {layer.up.get(), nullptr, view(work_.up_, c.ffn)}};
    backend_.matmul(view(work_.normed_, c.hidden), targets);
    if (c.gate == Gate::Gelu)
        backend_.geglu(view(work_.gate_, c.ffn), view(work_.up_, c.ffn));
    else
        backend_.swiglu(view(work_.gate_, c.ffn), view(work_.up_, c.ffn));
}

void Pass::ffnOut() {
    const LayerWeights& layer = model_.layers[layer_];
    addToResidual(work_.gate_, model_.config.ffn, *layer.down, layer.ffnPostNorm);
}

/// take(first, logits): of rows from firstRow + first on, in the workspace.
template <class Take>
void Pass::eachLogits(std::size_t firstRow, std::size_t rowCount, Take&& take) {
    assert(hiddenWanted_);
    const ModelConfig& c = model_.config;
    const auto normed = view(work_.normed_, c.hidden).rows(firstRow, rowCount);
    backend_.rmsNorm(view(work_.residual_, c.hidden).rows(firstRow, rowCount), model_.outputNorm.as<const float>(),
                     c.rmsEps, normed);
    for (std::size_t row = 0; row < rowCount; row += Workspace::kLogitRows) {
        const std::size_t count = std::min(Workspace::kLogitRows, rowCount - row);
        const View<float, 2> some(work_.logits_.as<float>(), {count, c.vocabulary});
        const MatmulTarget target[] = {{&model_.logitsWeight(), nullptr, some}};
        backend_.matmul(normed.rows(row, count), target);
        take(row, some);
    }
}

void Pass::logits(std::size_t firstRow, std::size_t rowCount, View<float, 2> out) {
    eachLogits(firstRow, rowCount, [&](std::size_t first, View<const float, 2> some) {
        for (std::size_t i = 0; i < some.size(0); ++i)
            backend_.copyOut(std::as_writable_bytes(std::span(out.row(first + i), some.size(1))), some.row(i));
    });
}

Status Pass::likeliest(std::size_t firstRow, std::span<std::int32_t> out) {
    if (auto done = work_.likeliest_.resize(backend_, out.size()); !done) return done;
    eachLogits(firstRow, out.size(), [&](std::size_t first, View<const float, 2> some) {
        backend_.argmax(some, work_.likeliest_.data() + first);
    });
    if (auto done = backend_.wait(backend_.record()); !done) return done;
    std::ranges::copy(work_.likeliest_.span(), out.begin());
    return {};
}

}  // namespace carrel
