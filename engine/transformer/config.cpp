#include "transformer/config.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace carrel {

namespace {

constexpr std::uint64_t kMost =
    1u << 20;  // no count of a real model is larger, and products of two stay far from overflow

struct Keys {
    const GgufFile& file;
    std::string prefix;
    std::string missing;  // the first required key that is not there

    std::uint32_t count(const char* key) {
        const auto value = file.integer(prefix + key);
        if ((!value || *value == 0 || *value > kMost) && missing.empty()) missing = prefix + key;
        return value && *value <= kMost ? static_cast<std::uint32_t>(*value) : 0;
    }
    std::uint32_t countOr(const char* key, std::uint32_t fallback) {
        return file.integer(prefix + key) ? count(key) : fallback;
    }
    double realOr(const char* key, double fallback) const { return file.real(prefix + key).value_or(fallback); }
};

/// Per-frequency divisors that Llama 3.1 files carry as a tensor.
Result<std::vector<float>> ropeFactors(const GgufFile& file, std::size_t count) {
    const GgufTensor* tensor = file.find("rope_freqs.weight");
    if (tensor == nullptr) return std::vector<float>(count, 1.0f);
    if (tensor->type != DType::F32 || tensor->bytes != count * sizeof(float))
        return Error{Code::Corrupt, "rope_freqs.weight",
                     "not one f32 for each of " + std::to_string(count) + " frequencies"};
    const auto raw = file.read(*tensor);
    if (!raw) return raw.error();
    std::vector<float> factors(count);
    std::memcpy(factors.data(), raw->data(), raw->size());
    return factors;
}

std::vector<float> frequencies(std::uint32_t headDim, double base, double factor, const std::vector<float>& factors) {
    std::vector<float> out;
    for (std::uint32_t j = 0; j < headDim / 2; ++j)
        out.push_back(static_cast<float>(std::pow(base, -2.0 * j / headDim) / factor / factors[j]));
    return out;
}

/// What an architecture's name says that the file does not.
struct Family {
    std::string_view name;
    RopeStyle rope;
    bool headNorms = false;
    // Gemma's: scaled embeddings, norms behind attention and FFN, GELU, every `globalEvery`-th layer global.
    bool gemma = false;
    std::uint32_t globalEvery = 0;
};
// llama files hold q and k permuted for neighbouring pairs; the others rotate halves.
constexpr Family kFamilies[] = {{"llama", RopeStyle::Interleaved},
                                {"qwen2", RopeStyle::Neox},
                                {"qwen3", RopeStyle::Neox, true},
                                {"gemma3", RopeStyle::Neox, true, true, 6}};
constexpr double kLocalRopeBase = 10000.0;
constexpr std::uint32_t kGemma27BLayers = 62;  // the one that scales by its hidden size; no key says it

bool sensible(double base, double factor) {
    return base > 1 && base < 1e12 && factor > 0 && factor < 1e6;
}

/// RoPE of all layers, and which are local.
Status readPositions(const Keys& keys, const Family& family, ModelConfig& config) {
    const GgufFile& file = keys.file;
    const std::string path = file.path().string();
    const auto scaling = file.string(keys.prefix + "rope.scaling.type").value_or("none");
    if (scaling != "none" && scaling != "linear")
        return Error{Code::Unsupported, path, "RoPE scaling \"" + std::string(scaling) + "\""};
    const double factor = scaling == "linear" ? keys.realOr("rope.scaling.factor", 1.0) : 1.0;
    const double base = keys.realOr("rope.freq_base", 10000.0);
    const double localBase = keys.realOr("rope.freq_base_swa", kLocalRopeBase);
    if (!sensible(base, factor) || !sensible(localBase, 1))
        return Error{Code::Corrupt, path, "no sensible RoPE base or scaling"};
    const auto factors = ropeFactors(file, config.headDim / 2);
    if (!factors) return factors.error();
    config.rope = family.rope;
    config.invFreq = frequencies(config.headDim, base, factor, *factors);
    config.ropeText = (config.rope == RopeStyle::Neox ? "neox," : "interleaved,") + std::to_string(base) + "," +
                      std::to_string(factor);

    const std::uint64_t window = file.integer(keys.prefix + "attention.sliding_window").value_or(0);
    if (family.globalEvery == 0) {
        // Which layers slide is not said; up to there they all see everything.
        if (window > 0) config.window = static_cast<std::uint32_t>(std::min<std::uint64_t>(window, config.window));
        return {};
    }
    if (window == 0) return Error{Code::Unsupported, path, config.architecture + " without a sliding window"};
    config.local.window = static_cast<std::uint32_t>(std::min(window, kMost));
    config.localInvFreq = frequencies(config.headDim, localBase, 1, std::vector<float>(config.headDim / 2, 1.0f));
    const std::string pattern = keys.prefix + "attention.sliding_window_pattern";
    if (const auto each = file.integers(pattern)) {
        if (each->size() != config.layers) return Error{Code::Corrupt, path, "no sensible " + pattern};
        for (const std::int64_t slides : *each) config.local.which.push_back(slides != 0);
    } else {
        const std::uint64_t every = file.integer(pattern).value_or(family.globalEvery);
        for (std::uint32_t i = 0; i < config.layers; ++i)
            config.local.which.push_back(every == 0 || (i + 1) % every != 0);
    }
    config.ropeText += ",local=" + std::to_string(config.local.window) + "," + std::to_string(localBase) + ",";
    for (const bool local : config.local.which) config.ropeText += local ? 'l' : 'g';
    return {};
}

}  // namespace

Result<ModelConfig> readConfig(const GgufFile& file) {
    const std::string path = file.path().string();
    ModelConfig config;
    config.architecture = std::string(file.string("general.architecture").value_or(""));
    if (config.architecture.empty()) return Error{Code::Corrupt, path, "the file does not name its architecture"};
    const auto family = std::ranges::find(kFamilies, config.architecture, &Family::name);
    if (family == std::end(kFamilies))
        return Error{Code::Unsupported, path,
                     "architecture \"" + config.architecture + "\"; Carrel runs llama, qwen2, qwen3 and gemma3"};
    if (!file.unsupportedTypes().empty())
        return Error{Code::Unsupported, path, "weight type of " + file.unsupportedTypes().front()};
    config.name = std::string(file.string("general.name").value_or(file.path().stem().string()));

    Keys keys{file, config.architecture + ".", {}};
    config.layers = keys.count("block_count");
    config.hidden = keys.count("embedding_length");
    config.ffn = keys.count("feed_forward_length");
    config.heads = keys.count("attention.head_count");
    config.kvHeads = keys.countOr("attention.head_count_kv", config.heads);
    config.window = keys.count("context_length");
    config.rmsEps = static_cast<float>(keys.realOr("attention.layer_norm_rms_epsilon", 1e-5));
    if (!keys.missing.empty()) return Error{Code::Corrupt, path, "no sensible " + keys.missing};
    if (config.layers > 1024 || config.heads > 1024)
        return Error{Code::Corrupt, path, "no model has so many layers or heads"};
    config.headDim = keys.countOr("attention.key_length", config.hidden / config.heads);
    if (config.heads % config.kvHeads != 0 || config.headDim == 0 || config.headDim % 8 != 0 || config.headDim > 256)
        return Error{Code::Unsupported, path,
                     std::to_string(config.heads) + " heads of size " + std::to_string(config.headDim) + " over " +
                         std::to_string(config.kvHeads) + " KV heads"};
    if (keys.countOr("attention.value_length", config.headDim) != config.headDim ||
        keys.countOr("rope.dimension_count", config.headDim) != config.headDim)
        return Error{Code::Unsupported, path, "value or RoPE size different from the head size"};
    if (file.integer(keys.prefix + "expert_count").value_or(0) > 0)
        return Error{Code::Unsupported, path, "mixture of experts"};
    for (const char* cap : {"attn_logit_softcapping", "final_logit_softcapping"})
        if (keys.realOr(cap, 0) != 0) return Error{Code::Unsupported, path, keys.prefix + cap};

    const GgufTensor* embedding = file.find("token_embd.weight");
    if (embedding == nullptr || embedding->shape.size() != 2 || embedding->shape[1] > 4 * kMost)
        return Error{Code::Corrupt, path, "no token_embd.weight of two dimensions"};
    config.vocabulary = static_cast<std::uint32_t>(embedding->shape[1]);

    config.headNorms = family->headNorms;
    config.postNorms = family->gemma;
    config.gate = family->gemma ? Gate::Gelu : Gate::Silu;
    if (family->gemma) config.embeddingScale = std::sqrt(static_cast<float>(config.hidden));
    const bool ofHidden = family->gemma && config.layers == kGemma27BLayers;
    config.attentionScale =
        1.0f / std::sqrt(static_cast<float>(ofHidden ? config.hidden / config.heads : config.headDim));
    if (auto read = readPositions(keys, *family, config); !read) return read.error();
    return config;
}

}  // namespace carrel
