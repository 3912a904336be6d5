#pragma once

#include <carrel/result.h>

#include <memory>

#include "compute/backend.h"

namespace carrel::cuda {

/// The backend on a device, which there must be. threads: that pack weights; 0: one per core.
Result<std::unique_ptr<Backend>> makeCudaBackend(int device, unsigned threads);

}  // namespace carrel::cuda
