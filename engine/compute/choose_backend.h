#pragma once

#include <carrel/cuda.h>
#include <carrel/result.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "compute/backend.h"

namespace carrel {

struct BackendOptions {
    BackendChoice choice = BackendChoice::Auto;
    std::string isa;  // of the processor (registry.h), which Auto then takes; CARREL_ISA likewise
    unsigned threads = 0;
    std::filesystem::path cudaPlugin;
};

struct ChosenBackend {
    std::unique_ptr<Backend> backend;
    Processor processor;
    bool forOneModel = false;  // which is too large for the GPU: to be chosen anew for another
};

/// A GPU computes only after selfCheck() found every result right, which takes part in a process's first choice. Cuda
/// where it cannot be: Unsupported, with the sentence that says why. What makeCpuBackend() fails with.
/// Takes as long as a driver takes to start: not for the window's thread.
Result<ChosenBackend> chooseBackend(const BackendOptions& options);

/// Fills the backend's memory by `load`. Where a GPU has too little of it (NoMemory) and the choice is Auto, the
/// processor takes its place and load is called once more; of the first call nothing may be left by then.
Status loadOnto(ChosenBackend& chosen, const BackendOptions& options, const std::function<Status(Backend&)>& load);

}  // namespace carrel
