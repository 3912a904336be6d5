#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace carrel {

/// Whether this computer's GPU can be used, and, where not, why: a sentence for a person.
struct CudaReport {
    bool usable = false;  // there is a GPU, and every operation gave the bits that it has to
    std::string device;   // "cuda NVIDIA …"; empty where there is none
    std::string why;
    struct Operation {
        std::string name;
        std::uint64_t got = 0, expected = 0;  // hashes of what came out of fixed inputs
    };
    std::vector<Operation> operations;
};

/// program: whose plugin is meant, this one as a rule. Starts the driver: takes up to a second or two.
CudaReport checkCuda(const std::filesystem::path& program);

}  // namespace carrel
