#pragma once

#include <carrel/tiers.h>

#include "kv/document_kv.h"
#include "session/loaded_model.h"
#include "transformer/config.h"
#include "transformer/read_policy.h"

namespace carrel {

/// The codec that settings and model come to. Unsupported: a codec's name, or a head size that it cannot hold.
Result<KvCodec> codecOf(const KvSettings& settings, const ModelConfig& config);
/// Budgets and parts. Defaults: host 40 % of the memory that is free; device a quarter of that, or 80 % of what is free
/// of the backend's own.
TierOptions tiersOf(const KvSettings& settings, const Backend& backend);
/// What is read of a document that has been opened, by the model's profile where it has one; nothing: all of it.
std::optional<ReadPolicy> policyOf(const KvSettings& settings, const LoadedModel& model, const DocumentKv& document,
                                   std::size_t tokens);

TierReport reportOf(const DocumentKv& document, const ReadStats& stats, double decodeSeconds);

}  // namespace carrel
