#include "transformer/config.h"

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

}  // namespace

Result<ModelConfig> readConfig(const GgufFile& file) {
    const std::string path = file.path().string();
    ModelConfig config;
    config.architecture = std::string(file.string("general.architecture").value_or(""));
    if (config.architecture.empty()) return Error{Code::Corrupt, path, "the file does not name its architecture"};
    if (config.architecture != "llama" && config.architecture != "qwen2")
        return Error{Code::Unsupported, path,
                     "architecture \"" + config.architecture + "\"; Carrel runs llama and qwen2"};
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
    if (file.integer(config.architecture + ".expert_count").value_or(0) > 0)
        return Error{Code::Unsupported, path, "mixture of experts"};

    const GgufTensor* embedding = file.find("token_embd.weight");
    if (embedding == nullptr || embedding->shape.size() != 2 || embedding->shape[1] > 4 * kMost)
        return Error{Code::Corrupt, path, "no token_embd.weight of two dimensions"};
    config.vocabulary = static_cast<std::uint32_t>(embedding->shape[1]);

    const auto scaling = file.string(config.architecture + ".rope.scaling.type").value_or("none");
    if (scaling != "none" && scaling != "linear")
        return Error{Code::Unsupported, path, "RoPE scaling \"" + std::string(scaling) + "\""};
    const double factor = scaling == "linear" ? keys.realOr("rope.scaling.factor", 1.0) : 1.0;
    const double base = keys.realOr("rope.freq_base", 10000.0);
    if (!(base > 1 && base < 1e12 && factor > 0 && factor < 1e6))
        return Error{Code::Corrupt, path, "no sensible RoPE base or scaling"};
    const auto factors = ropeFactors(file, config.headDim / 2);
    if (!factors) return factors.error();
    for (std::uint32_t j = 0; j < config.headDim / 2; ++j)
        config.invFreq.push_back(
            static_cast<float>(std::pow(base, -2.0 * j / config.headDim) / factor / (*factors)[j]));
    // llama files hold q and k permuted for neighbouring pairs; qwen2 rotates halves.
    config.rope = config.architecture == "llama" ? RopeStyle::Interleaved : RopeStyle::Neox;
    config.ropeText = (config.rope == RopeStyle::Neox ? "neox," : "interleaved,") + std::to_string(base) + "," +
                      std::to_string(factor);
    return config;
}

}  // namespace carrel
