#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <string>
#include <vector>

#include "compute/backend.h"
#include "gguf/file.h"
#include "kv/document_kv.h"
#include "store/reading_store.h"

namespace carrel {

enum class Gate : std::uint8_t { Silu, Gelu };

/// Hyper-parameters of a decoder-only transformer, from GGUF metadata (`<arch>.*` keys of ggml's GGUF specification):
/// all that tells one model from another is here, as data.
struct ModelConfig {
    std::string architecture, name;
    std::uint32_t layers = 0, hidden = 0, ffn = 0, heads = 0, kvHeads = 0, headDim = 0, vocabulary = 0, window = 0;
    float rmsEps = 0;
    float embeddingScale = 1, attentionScale = 0;
    bool headNorms = false;  // q and k are normed per head before RoPE
    bool postNorms = false;  // what attention and FFN give is normed before it is added
    Gate gate = Gate::Silu;
    RopeStyle rope = RopeStyle::Neox;
    std::vector<float> invFreq;  // [headDim / 2], scaling in it
    std::string ropeText;        // what frequencies and windows came from, for the reading's key
    LocalLayers local;
    std::vector<float> localInvFreq;  // of those

    const std::vector<float>& frequencies(std::uint32_t layer) const {
        return local.has(layer) ? localInvFreq : invFreq;
    }

    KvShape kvShape() const { return {layers, kvHeads, headDim}; }
    std::uint64_t kvBytesPerToken() const { return std::uint64_t{4} * layers * kvHeads * headDim; }
};

/// llama, qwen2, qwen3 and gemma3. Unsupported names what else it is (architecture, rope scaling, tensor type); Corrupt
/// for sizes that cannot be.
Result<ModelConfig> readConfig(const GgufFile& file);

}  // namespace carrel
