#include "compute/registry.h"

#include <algorithm>
#include <cstdlib>

#include "compute/cpu/cpu_backend.h"

namespace carrel {

std::vector<Isa> availableIsas() {
    std::vector<Isa> out{Isa::Scalar};
#if defined(__x86_64__)
    // Whatever has AVX2 has F16C, which clang cannot be asked about.
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return out;
    out.push_back(Isa::Avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni") &&
        __builtin_cpu_supports("avx512bf16"))
        out.push_back(Isa::Avx512);
#endif
    return out;
}

Result<std::unique_ptr<Backend>> makeCpuBackend(const std::string& isa, unsigned threads) {
    const char* forced = std::getenv("CARREL_ISA");
    const std::string word = forced != nullptr && *forced != '\0' ? forced : isa;
    const auto available = availableIsas();
    Isa chosen = available.back();
    if (word == "scalar")
        chosen = Isa::Scalar;
    else if (word == "avx2")
        chosen = Isa::Avx2;
    else if (word == "avx512")
        chosen = Isa::Avx512;
    else if (!word.empty())
        return Error{Code::InvalidArgument, "isa " + word, "known are scalar, avx2 and avx512"};
    if (std::ranges::find(available, chosen) == available.end())
        return Error{Code::Unsupported, "isa " + word, "this processor lacks it"};
    return makeCpuBackendWith(chosen, threads);
}

}  // namespace carrel
