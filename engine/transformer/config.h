#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <string>
#include <vector>

#include "compute/backend.h"
#include "gguf/file.h"
#include "store/reading_store.h"

namespace carrel {

/// Hyper-parameters of a decoder-only transformer, from GGUF metadata (`<arch>.*` keys of ggml's GGUF specification).
struct ModelConfig {
    std::string architecture, name;
    std::uint32_t layers = 0, hidden = 0, ffn = 0, heads = 0, kvHeads = 0, headDim = 0, vocabulary = 0, window = 0;
    float rmsEps = 0;
    RopeStyle rope = RopeStyle::Neox;
    std::vector<float> invFreq;  // [headDim / 2], scaling in it
    std::string ropeText;        // what invFreq came from, for the reading's key

    KvShape kvShape() const { return {layers, kvHeads, headDim}; }
    std::uint64_t kvBytesPerToken() const { return std::uint64_t{4} * layers * kvHeads * headDim; }
};

/// llama and qwen2. Unsupported names what else it is (architecture, rope scaling, tensor type); Corrupt for sizes that
/// cannot be.
Result<ModelConfig> readConfig(const GgufFile& file);

}  // namespace carrel
