#include "emulated.h"

#include <cstdlib>
#include <string_view>

#include "compute/cuda/cuda_backend.h"
#include "cushim.h"

namespace cushim {

carrel::Result<std::unique_ptr<carrel::Backend>> makeEmulatedBackend() {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return carrel::Error{carrel::Code::Unsupported, "cushim", "this processor lacks AVX2"};
#endif
    const char *order = std::getenv("CUSHIM_ORDER"), *seed = std::getenv("CUSHIM_SEED");
    const std::string_view word = order == nullptr ? "random" : order;
    configure(word == "forward"   ? Order::Forward
              : word == "reverse" ? Order::Reverse
                                  : Order::Random,
              word == "forward" ? Streams::Eager : Streams::Lazy,
              seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10));
    return carrel::cuda::makeCudaBackend(0, 1);
}

}  // namespace cushim
