#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <string>
#include <vector>

#include "compute/backend.h"

namespace carrel {

/// One operation on fixed inputs: the hash of what came out, and of what has to.
struct SelfCheckRow {
    std::string operation;
    std::uint64_t got = 0, expected = 0;
};

/// The CUDA backend's operations on small inputs, before it is trusted with anything: kernels use arithmetic that has
/// one right answer to the bit, the emulation's (tests/cushim), so a GPU or a compiler that differs is found out.
/// NoMemory and what wait() fails with. Takes milliseconds on a GPU.
Result<std::vector<SelfCheckRow>> selfCheck(Backend& backend);

}  // namespace carrel
