#pragma once

#include <carrel/compute.h>

#include "session/loaded_model.h"

namespace carrel {

/// What reading a document of `tokens` tokens comes to: sizes of the codec's groups, and the budgets that hold now.
/// Unsupported: the settings' codec.
Result<ReadingForecast> forecastOf(const LoadedModel& model, const KvSettings& settings, std::size_t tokens);

}  // namespace carrel
