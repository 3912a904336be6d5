#pragma once

#include <carrel/compute.h>

#include "base/file.h"

namespace carrel {

/// Compute::open() with readings on another file system: tests give one that fails. It outlives what is opened.
Result<std::unique_ptr<Compute>> openCompute(const ComputeOptions& options, EventSink& events, FileSystem& files);

}  // namespace carrel
