#pragma once

#include <cstddef>

#include "compute/backend.h"

namespace carrel::cuda {

/// What the plugin carrel_cuda.so exports, and all it does. buildId: the caller's; the object that comes back is C++,
/// so only a plugin of the same build may make it. Null, with a sentence in `why`, where there is no GPU to use.
using PluginEntry = Backend* (*)(const char* buildId, unsigned threads, char* why, std::size_t whyBytes);
inline constexpr const char* kPluginSymbol = "carrel_cuda_backend";
inline constexpr const char* kPluginFile = "carrel_cuda.so";

/// Fewer bytes free than this and no model that is worth it fits.
inline constexpr std::size_t kLeastFreeBytes = std::size_t{1} << 30;

}  // namespace carrel::cuda
