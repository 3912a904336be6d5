#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace carrel {

/// Who is to compute. Auto: a GPU that gives the results it should, or else the processor.
enum class BackendChoice : std::uint8_t { Auto, Cpu, Cuda };

/// Who computes.
struct Processor {
    std::string backend;  // "cpu avx512, 2 threads", "cuda NVIDIA …"
    std::string gpu;      // the GPU's name where it is one; else empty
    std::string why;      // why it is none, a sentence for a person; empty where the processor was asked for, too
    std::string report;   // of a check that the GPU did not pass, for whoever can help; else empty
};

/// A GPU that failed while it computed. Where Auto chose it, the processor computes from then on until the program
/// ends: what had shown nothing yet is begun again there, and an answer that had is given up with this.
inline bool isGpuFailure(const Error& error) {
    return error.code == Code::Internal && error.where == "CUDA";
}

/// The CUDA plugin of a program: what CARREL_CUDA_PLUGIN in the environment names, or else carrel_cuda.so beside the
/// program, where it was built, or in ../lib/carrel, where it is installed. There may be no such file.
std::filesystem::path cudaPluginFor(const std::filesystem::path& program);

/// Whether this computer's GPU can be used, and, where not, why: a sentence for a person.
struct CudaReport {
    bool usable = false;  // there is a GPU, and every operation gave the bits that it has to
    std::string device;   // "NVIDIA …"; empty where there is none
    std::string why;
    struct Operation {
        std::string name;
        std::uint64_t got = 0, expected = 0;  // hashes of what came out of fixed inputs
    };
    std::vector<Operation> operations;
};

/// Starts the driver: takes up to a second or two.
CudaReport checkCuda(const std::filesystem::path& plugin);
/// A line for each operation, and one for what it comes to.
std::string cudaReportText(const CudaReport& report);

}  // namespace carrel
