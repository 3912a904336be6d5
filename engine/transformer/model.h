#pragma once

#include <carrel/result.h>

#include <memory>
#include <vector>

#include "compute/backend.h"
#include "gguf/file.h"
#include "transformer/config.h"

namespace carrel {

/// One block's weights. Matrices are [outputs, inputs]; norms and biases f32 in backend memory (a bias may be missing,
/// and norms that the model has not are).
struct LayerWeights {
    Buffer attentionNorm, ffnNorm, queryBias, keyBias, valueBias;
    Buffer queryNorm, keyNorm, attentionPostNorm, ffnPostNorm;
    std::unique_ptr<Weight> query, key, value, output, gate, up, down;
};

/// A model's weights on a backend. Immutable after loading.
struct Model {
    ModelConfig config;
    std::string fingerprint;
    std::unique_ptr<Weight> embedding;
    std::unique_ptr<Weight> unembedding;  // null: tied to the embedding
    Buffer outputNorm;
    std::vector<LayerWeights> layers;

    const Weight& logitsWeight() const { return unembedding ? *unembedding : *embedding; }

    /// Every tensor's shape is checked here, once. Corrupt names the tensor; Unsupported names one that nothing here
    /// computes with; NoMemory; Io.
    static Result<Model> load(const GgufFile& file, ModelConfig config, Backend& backend);
};

}  // namespace carrel
