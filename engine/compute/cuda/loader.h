#pragma once

#include <carrel/cuda.h>
#include <carrel/result.h>

#include <filesystem>
#include <memory>

#include "compute/backend.h"

namespace carrel {

/// The CUDA backend of a plugin. Unsupported, with a sentence for a person in `detail`, for each reason that there may
/// be none: no plugin, one of another build, no driver, one that is too old, no GPU, or one that cannot be used.
/// Takes as long as a driver takes to start: not for the window's thread.
Result<std::unique_ptr<Backend>> loadCudaBackend(const std::filesystem::path& plugin, unsigned threads);

}  // namespace carrel
