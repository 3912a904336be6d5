#pragma once

#include <cstdint>
#include <random>
#include <span>

namespace carrel {

/// temperature 0 is greedy. Filters apply in this order: top-k (0: off), top-p (1: off), min-p (0: off).
struct SamplerOptions {
    float temperature = 0, topP = 1, minP = 0;
    std::uint32_t topK = 0;
    std::uint64_t seed = 0;
};

/// Logits to a token; the same seed and logits give the same tokens.
class Sampler {
  public:
    explicit Sampler(SamplerOptions options) : options_(options), random_(options.seed) {}
    std::int32_t next(std::span<const float> logits);  // [vocabulary], not empty
    /// The likeliest: then Pass::likeliest() will do.
    bool greedy() const { return options_.temperature <= 0; }

  private:
    SamplerOptions options_;
    std::mt19937_64 random_;
};

}  // namespace carrel
