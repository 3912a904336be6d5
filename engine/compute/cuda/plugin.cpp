#include "compute/cuda/plugin.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "compute/cuda/cuda_backend.h"

namespace carrel::cuda {

namespace {

std::string decimals(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}
std::string version(int v) {
    return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10);
}

std::string whyNone(cudaError_t error) {
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    if (error == cudaErrorInsufficientDriver && driver == 0) return "No NVIDIA driver is installed.";
    if (error == cudaErrorInsufficientDriver)
        return "The NVIDIA driver is too old: it offers CUDA " + version(driver) + ", and Carrel needs " +
               version(runtime) + " (driver " + (runtime >= 13000 ? "580" : "525") + " or later).";
    if (error == cudaErrorStubLibrary)
        return "The NVIDIA driver's library is the CUDA toolkit's stand-in, with no driver behind it.";
    if (error == cudaErrorNoDevice || error == cudaSuccess)
        return "An NVIDIA driver is installed, but it finds no NVIDIA GPU.";
    return std::string("The NVIDIA driver does not work: ") + cudaGetErrorString(error) + ".";
}

/// The GPU with the most memory, and why it cannot be used where `why` is not empty.
struct Choice {
    int device = 0;
    std::string why;
};
Choice choose() {
    Choice choice;
    int count = 0;
    const cudaError_t counted = cudaGetDeviceCount(&count);
    if (counted != cudaSuccess || count == 0) return {0, whyNone(counted)};
    cudaDeviceProp best{};
    for (int i = 0; i < count; ++i) {
        cudaDeviceProp device{};
        if (const cudaError_t asked = cudaGetDeviceProperties(&device, i); asked != cudaSuccess)
            return {0, whyNone(asked)};
        if (device.totalGlobalMem <= best.totalGlobalMem) continue;
        best = device;
        choice.device = i;
    }
    const std::string name = std::string("The GPU ") + best.name;
    if (best.major * 10 + best.minor < 75)
        return {0, name + " is too old: compute capability " + std::to_string(best.major) + "." +
                       std::to_string(best.minor) + ", and Carrel needs 7.5."};
    std::size_t available = 0, total = 0;
    if (const cudaError_t asked = cudaSetDevice(choice.device); asked != cudaSuccess) return {0, whyNone(asked)};
    if (const cudaError_t asked = cudaMemGetInfo(&available, &total); asked != cudaSuccess) return {0, whyNone(asked)};
    if (available < kLeastFreeBytes)
        return {0, name + " has " + decimals(static_cast<double>(available) / 0x1p30) +
                       " GiB of free memory, and Carrel needs at least " +
                       decimals(static_cast<double>(kLeastFreeBytes) / 0x1p30) + "."};
    return choice;
}

}  // namespace

}  // namespace carrel::cuda

extern "C" __attribute__((visibility("default"))) carrel::Backend* carrel_cuda_backend(const char* buildId,
                                                                                       unsigned threads, char* why,
                                                                                       std::size_t whyBytes) {
    std::string said;
    if (std::string_view(buildId) != CARREL_BUILD_ID) {
        said = "carrel_cuda.so is of another build of Carrel.";
    } else if (auto choice = carrel::cuda::choose(); !choice.why.empty()) {
        said = std::move(choice.why);
    } else if (auto made = carrel::cuda::makeCudaBackend(choice.device, threads)) {
        return std::move(*made).release();
    } else {
        said = "The GPU could not be set up: " + made.error().detail + ".";
    }
    const std::size_t length = std::min(said.size(), whyBytes - 1);
    said.copy(why, length);
    why[length] = '\0';
    return nullptr;
}
