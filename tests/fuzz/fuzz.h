#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

/// The function under test; aborts where a promise is broken.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

/// Good inputs that mutations start from.
std::vector<std::vector<std::byte>> fuzzSeeds();

inline void promised(bool kept) {
    if (!kept) std::abort();
}
