#pragma once

#include <carrel/lab.h>

#include "session/token_reading.h"

namespace carrel {

/// log(sum(exp(logits))), summed in double.
double logSumExp(std::span<const float> logits);

/// Lab's measurements of a document's KV. Readings are kept in options.scratch and used again.
class Measurement {
  public:
    Measurement(const LoadedModel& model, Workspace& work, const LabOptions& options)
        : model_(model), work_(work), options_(options), vocabulary_(model.model().config.vocabulary) {}

    Result<BenchRow> bench(std::string_view text, std::uint32_t tokens, std::uint32_t batch, std::uint32_t predict,
                           std::stop_token stop);
    Result<Comparison> compare(std::string_view text, std::uint32_t tokens, std::uint32_t probes,
                               const std::string& referenceCodec, std::stop_token stop);
    Result<ProfileReport> profile(std::string_view text, std::uint32_t tokens, std::uint32_t probes,
                                  std::stop_token stop);

  private:
    /// KLD from `expected` of each id walked by this policy.
    Result<std::vector<double>> divergences(const TokenReading& reading, std::span<const std::int32_t> ids, Reads reads,
                                            std::span<const float> expected, std::stop_token stop);
    struct Times {
        double prefillS = 0, commitS = 0;
    };
    Result<std::vector<std::int32_t>> idsOf(std::string_view text, std::size_t count, bool repeat) const;
    Result<TokenReading> read(std::vector<std::int32_t> ids, const KvSettings& settings, Times& times,
                              std::stop_token stop);
    /// Logits [ids, vocabulary] of ids run behind the reading; teacher-forced.
    Status walk(const TokenReading& reading, std::span<const std::int32_t> ids, Reads reads, std::vector<float>& logits,
                std::stop_token stop);

    const LoadedModel& model_;
    Workspace& work_;
    const LabOptions& options_;
    std::size_t vocabulary_;
    std::unique_ptr<ReadingStore> store_;
};

}  // namespace carrel
