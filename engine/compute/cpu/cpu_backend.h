#pragma once

#include <memory>

#include "compute/registry.h"

namespace carrel {

/// isa must be available. threads 0: one per core.
std::unique_ptr<Backend> makeCpuBackendWith(Isa isa, unsigned threads);

}  // namespace carrel
