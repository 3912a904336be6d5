#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace carrel {

/// Ids of a text under a model file's vocabulary (its tensors may be missing): no BOS, no template, no special tokens.
Result<std::vector<std::vector<std::int32_t>>> tokenizeTexts(const std::filesystem::path& model,
                                                             const std::vector<std::string>& texts);

struct Generated {
    std::vector<std::int32_t> ids;
    std::string text;
    double prefillTokensPerS = 0, decodeTokensPerS = 0;
};

struct PositionLogits {
    std::uint32_t position = 0;
    std::vector<std::pair<std::int32_t, float>> top;  // id, log-probability; best first
};

struct Perplexity {
    double perplexity = 0, nll = 0;  // nats a token
    std::uint64_t tokens = 0;        // scored
};

struct BenchRow {
    std::uint32_t tokens = 0, batch = 0;
    double prefillTokensPerS = 0, prefillUnpersistedTokensPerS = 0,
           decodeTokensPerS = 0;  // decode: all sequences together
    double firstTokenS = 0, endToEnd128S = 0;
    std::uint64_t peakRssBytes = 0;
};

/// The model without documents: what scripts and measurements ask for. One thread.
class Lab {
  public:
    static Result<std::unique_ptr<Lab>> open(const std::filesystem::path& model, unsigned threads,
                                             const std::string& isa);
    virtual ~Lab() = default;

    /// Greedy raw continuation; special tokens in the text are parsed, BOS where the model wants one. Ends at `predict`
    /// or an end-of-turn token.
    virtual Result<Generated> generate(std::string_view text, std::uint32_t predict, std::stop_token stop) = 0;
    /// The last `last` positions of ids, `top` best each.
    virtual Result<std::vector<PositionLogits>> logits(const std::vector<std::int32_t>& ids, std::uint32_t top,
                                                       std::uint32_t last) = 0;
    /// As llama-perplexity: windows of `context` tokens, BOS in each window's first place where the model wants one,
    /// the second half scored.
    virtual Result<Perplexity> perplexity(std::string_view text, std::uint32_t context, std::uint32_t windows,
                                          std::stop_token stop) = 0;
    /// Prefill of the text's first `tokens` tokens, committed to a store in `scratch` as a reading is, then `predict`
    /// greedy steps of `batch` sequences on that prefix. The caller removes `scratch`.
    virtual Result<BenchRow> bench(std::string_view text, std::uint32_t tokens, std::uint32_t batch,
                                   std::uint32_t predict, const std::filesystem::path& scratch,
                                   std::stop_token stop) = 0;
};

}  // namespace carrel
