#include "transformer/model.h"

#include <set>
#include <string>

namespace carrel {

namespace {

/// Collects the first failure, so that the list of tensors below reads as a list.
class Loader {
  public:
    Loader(const GgufFile& file, Backend& backend) : file_(file), backend_(backend) {}
    const Status& status() const { return status_; }

    std::unique_ptr<Weight> matrix(const std::string& name, std::uint64_t rows, std::uint64_t cols) {
        const GgufTensor* tensor = find(name, {cols, rows}, true);
        if (tensor == nullptr) return nullptr;
        auto weight = backend_.loadWeight(tensor->type, rows, cols, tensor->bytes,
                                          [this, tensor](std::size_t offset, std::span<std::byte> into) {
                                              return file_.read(*tensor, offset, into);
                                          });
        if (!weight) return fail(weight.error()), nullptr;
        return std::move(*weight);
    }

    Buffer vector(const std::string& name, std::uint64_t size, bool required) {
        const GgufTensor* tensor = find(name, {size}, required);
        if (tensor == nullptr) return {};
        const auto raw = file_.read(*tensor);
        if (!raw) return fail(raw.error()), Buffer{};
        std::vector<float> values(size);
        dequantizeRow(tensor->type, *raw, values);
        auto buffer = backend_.allocate(size * sizeof(float), MemoryKind::Device);
        if (!buffer) return fail(buffer.error()), Buffer{};
        backend_.copyIn(buffer->as<void>(), std::as_bytes(std::span(values)));
        return std::move(*buffer);
    }

    /// A tensor that was not asked for computes something that is not computed here.
    void expectNothingElse() {
        if (!status_) return;
        for (const GgufTensor& tensor : file_.tensors())
            if (!taken_.contains(tensor.name))
                return fail({Code::Unsupported, file_.path().string(), "a model with " + tensor.name});
    }

  private:
    const GgufTensor* find(const std::string& name, const std::vector<std::uint64_t>& shape, bool required) {
        if (!status_) return nullptr;
        const GgufTensor* tensor = file_.find(name);
        if (tensor == nullptr) {
            if (required) fail({Code::Corrupt, file_.path().string(), "no tensor " + name});
            return nullptr;
        }
        if (tensor->shape != shape)
            return fail({Code::Corrupt, file_.path().string(), name + " has another shape than the model's sizes say"}),
                   nullptr;
        taken_.insert(name);
        return tensor;
    }
    void fail(Error error) {
        if (status_) status_ = std::move(error);
    }

    const GgufFile& file_;
    Backend& backend_;
    Status status_;
    std::set<std::string> taken_{"rope_freqs.weight"};  // readConfig's
};

}  // namespace

Result<Model> Model::load(const GgufFile& file, ModelConfig config, Backend& backend) {
    Loader load(file, backend);
    Model model;
    const std::uint64_t hidden = config.hidden, ffn = config.ffn;
    const std::uint64_t queries = std::uint64_t{config.heads} * config.headDim,
                        keys = std::uint64_t{config.kvHeads} * config.headDim;
    model.embedding = load.matrix("token_embd.weight", config.vocabulary, hidden);
    model.outputNorm = load.vector("output_norm.weight", hidden, true);
    if (file.find("output.weight") != nullptr)
        model.unembedding = load.matrix("output.weight", config.vocabulary, hidden);
    for (std::uint32_t i = 0; i < config.layers && load.status(); ++i) {
        const std::string at = "blk." + std::to_string(i) + ".";
        LayerWeights layer;
        layer.attentionNorm = load.vector(at + "attn_norm.weight", hidden, true);
        layer.query = load.matrix(at + "attn_q.weight", queries, hidden);
        layer.key = load.matrix(at + "attn_k.weight", keys, hidden);
        layer.value = load.matrix(at + "attn_v.weight", keys, hidden);
        layer.queryBias = load.vector(at + "attn_q.bias", queries, false);
        layer.keyBias = load.vector(at + "attn_k.bias", keys, false);
        layer.valueBias = load.vector(at + "attn_v.bias", keys, false);
        if (config.headNorms) {
            layer.queryNorm = load.vector(at + "attn_q_norm.weight", config.headDim, true);
            layer.keyNorm = load.vector(at + "attn_k_norm.weight", config.headDim, true);
        }
        layer.output = load.matrix(at + "attn_output.weight", hidden, queries);
        if (config.postNorms) {
            layer.attentionPostNorm = load.vector(at + "post_attention_norm.weight", hidden, true);
            layer.ffnPostNorm = load.vector(at + "post_ffw_norm.weight", hidden, true);
        }
        layer.ffnNorm = load.vector(at + "ffn_norm.weight", hidden, true);
        layer.gate = load.matrix(at + "ffn_gate.weight", ffn, hidden);
        layer.up = load.matrix(at + "ffn_up.weight", ffn, hidden);
        layer.down = load.matrix(at + "ffn_down.weight", hidden, ffn);
        model.layers.push_back(std::move(layer));
    }
    load.expectNothingElse();
    if (!load.status()) return load.status().error();
    auto fingerprint = file.fingerprint();
    if (!fingerprint) return fingerprint.error();
    model.fingerprint = *fingerprint;
    model.config = std::move(config);
    return model;
}

}  // namespace carrel
