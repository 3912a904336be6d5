#pragma once

#include <cstring>
#include <tuple>
#include <type_traits>

#include "compute/cuda/klaunch.h"
#include "compute/cuda/launch_list.h"

// klaunch() to a LaunchList in the place of a stream, for .cu files.

namespace carrel::cuda {

using ::klaunch;

template <class T>
constexpr std::size_t kHeldBytes = (sizeof(T) + 7) / 8 * 8;

template <class... P>
cudaError_t launchHeld(const HeldLaunch& held, const std::byte* from, cudaStream_t stream) {
    std::tuple<P...> args;
    const auto take = [&from](auto& arg) {
        std::memcpy(&arg, from, sizeof arg);
        from += kHeldBytes<decltype(arg)>;
    };
    return std::apply(
        [&](auto&... arg) {
            (take(arg), ...);
            return klaunch(reinterpret_cast<void (*)(P...)>(held.kernel), held.grid, held.block, held.sharedBytes,
                           stream, arg...);
        },
        args);
}

template <class... P, class... A>
cudaError_t klaunch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t sharedBytes, LaunchList& to, A&&... args) {
    static_assert((std::is_trivially_copyable_v<P> && ...));
    if (!to.holds())
        return klaunch(kernel, grid, block, sharedBytes, static_cast<cudaStream_t>(to), std::forward<A>(args)...);
    std::byte* at = to.hold({launchHeld<P...>, reinterpret_cast<void (*)()>(kernel), grid, block, sharedBytes,
                             (std::size_t{0} + ... + kHeldBytes<P>)});
    const auto give = [&at](const auto& arg) {
        std::memcpy(at, &arg, sizeof arg);
        at += kHeldBytes<decltype(arg)>;
    };
    (give(static_cast<P>(std::forward<A>(args))), ...);
    return cudaSuccess;
}

}  // namespace carrel::cuda
