#pragma once

#include <carrel/result.h>

#include <memory>

#include "compute/backend.h"

namespace cushim {

/// The CUDA backend, emulated: threads of a block in random order, streams lazy, by CUSHIM_SEED (1). CUSHIM_ORDER:
/// forward or reverse instead. Unsupported where the processor lacks what the emulation was compiled for.
carrel::Result<std::unique_ptr<carrel::Backend>> makeEmulatedBackend();

}  // namespace cushim
