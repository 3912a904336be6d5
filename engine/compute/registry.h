#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compute/backend.h"

namespace carrel {

enum class Isa : std::uint8_t { Scalar, Avx2, Avx512 };  // Avx512: F, BW, VL, VNNI and BF16

/// What this machine can run, worst first.
std::vector<Isa> availableIsas();

/// The CPU backend. isa: scalar, avx2, avx512 or empty for the best; CARREL_ISA in the environment goes before it.
/// threads 0: one per core. Unsupported when this machine lacks the ISA; InvalidArgument for a word that is none.
Result<std::unique_ptr<Backend>> makeCpuBackend(const std::string& isa, unsigned threads);

}  // namespace carrel
