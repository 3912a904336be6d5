#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tensor/quant.h"

namespace carrel {

/// A model that can be run and says nothing: random weights, a small byte-level BPE vocabulary that tokenises any text,
/// the ChatML template and its special tokens, or a SentencePiece vocabulary that does. K types and IQ4_XS need
/// hidden and ffn to be multiples of 256.
struct TinyModelSpec {
    // Or qwen2, which has biases on q, k and v; qwen3, which norms q and k; gemma3, which also has local layers and no
    // output.weight.
    std::string architecture = "llama";
    DType type = DType::F16;  // of all matrices; norms and biases are F32
    std::uint64_t seed = 1;
    std::uint32_t layers = 2, heads = 4, kvHeads = 2, headDim = 64, ffn = 512, context = 2048;
    std::uint32_t hidden = 0;  // 0: heads * headDim
    float ropeBase = 10000.0F;
    // Deviation of q's bias, of qwen2. Keys have deviation 1: with 0.5 a token attends to all alike; with 3, which is
    // most of a query then, to few keys and from step to step to nearly the same, as trained models do.
    float queryBias = 0.5F;
    bool sentencePiece = false;  // the vocabulary is SentencePiece's, with Gemma's control tokens and template
    bool spacePrefix = false;    // of SentencePiece: a space is put before a text
    std::vector<std::string> controls = {};  // more control tokens
    std::string chatTemplate = {};           // instead of the vocabulary's own
    float headNorm = 1.0F;    // mean of qwen3's and gemma3's weights: q and k of that deviation, alike at 1
    bool tiedOutput = false;  // no output.weight: the embedding serves
    std::map<std::string, std::string> words = {};      // more metadata
    std::map<std::string, std::uint32_t> numbers = {};  // and more
    std::uint32_t slidingWindow = 100;                  // of gemma3's local layers: five of six, the sixth is global
};

/// The bytes of a GGUF v3 file. Same specification, same bytes, on every machine.
std::vector<std::byte> tinyModel(const TinyModelSpec& spec);
Status writeTinyModel(const std::filesystem::path& file, const TinyModelSpec& spec);

}  // namespace carrel
