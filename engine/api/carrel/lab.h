#pragma once

#include <carrel/cuda.h>
#include <carrel/result.h>
#include <carrel/tiers.h>

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
    std::uint64_t peakRssBytes = 0, diskBytes = 0, kvBytesF16 = 0, reusedTokens = 0;
    double decodeMedianS = 0, decodeWorstS = 0;  // of a step
    TierReport tiers;
};

/// How one way of reading differs from another on the same text.
struct Comparison {
    double kldMean = 0, kldP99 = 0;  // KL(reference || tested) of the next token, nats
    double topAgreement = 0;         // share of probes with the same best token
    double clearFlips = 0;  // share of probes with another best token where the reference's lead is over 0.5 nat
    double perplexityReference = 0, perplexity = 0;
    std::uint32_t probes = 0;
    TierReport tiers;  // of the tested way
};

/// What a model's profile was made from. KLD as in Comparison, against full attention.
struct ProfileReport {
    std::filesystem::path file;
    double readShare = 1;                   // of the tokens there were, by the rule that the options say
    double kldPlain = 0, kldEstimated = 0;  // without and with the unread counted by its leaves' means
    double gain = 0, gainError = 0;         // mean difference of the two over probes, and its standard error
    bool estimate = false;                  // the gain is more than chance: over two standard errors
};

struct LabOptions {
    std::filesystem::path model;
    unsigned threads = 0;
    std::string isa;
    KvSettings kv;
    std::filesystem::path data;     // the data folder, where models' profiles lie; empty: there are none
    std::filesystem::path scratch;  // a folder for readings; bench and compare use what is stored there already
    BackendChoice backend = BackendChoice::Auto;  // ComputeOptions
    std::filesystem::path cudaPlugin;
};

/// The model without documents: what scripts and measurements ask for. One thread.
class Lab {
  public:
    static Result<std::unique_ptr<Lab>> open(const LabOptions& options);
    virtual ~Lab() = default;

    virtual const Processor& processor() const = 0;
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
    /// Reads the text's first `tokens` tokens as a document is read, then `predict` steps of `batch` sequences on it:
    /// greedy, each begun with another of the likeliest tokens. A short text repeats.
    virtual Result<BenchRow> bench(std::string_view text, std::uint32_t tokens, std::uint32_t batch,
                                   std::uint32_t predict, std::stop_token stop) = 0;
    /// Reads `tokens` tokens, then walks the next `probes` teacher-forced: full attention with the reference's codec,
    /// and as the options say.
    virtual Result<Comparison> compare(std::string_view text, std::uint32_t tokens, std::uint32_t probes,
                                       const std::string& referenceCodec, std::stop_token stop) = 0;
    /// Walks in the same way without and with estimates of the unread; whether these help goes to the data folder as
    /// the model's profile, and holds for readings opened from then on. InvalidArgument: no data folder, or a rule that
    /// reads everything.
    virtual Result<ProfileReport> profile(std::string_view text, std::uint32_t tokens, std::uint32_t probes,
                                          std::stop_token stop) = 0;
};

}  // namespace carrel
