#pragma once

#include <carrel/models.h>

namespace carrel {

/// inspectModel, whatever memory there is.
Result<ModelInfo> readModelInfo(const std::filesystem::path& file);

}  // namespace carrel
