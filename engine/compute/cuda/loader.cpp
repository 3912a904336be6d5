#include "compute/cuda/loader.h"

#include <dlfcn.h>

#include <cstdlib>

#include "compute/cuda/plugin.h"

namespace carrel {

std::filesystem::path cudaPluginFor(const std::filesystem::path& program) {
    if (const char* named = std::getenv("CARREL_CUDA_PLUGIN"); named != nullptr && *named != '\0') return named;
    const auto folder = program.parent_path(), beside = folder / cuda::kPluginFile;
    std::error_code ignored;
    return std::filesystem::exists(beside, ignored) ? beside : folder.parent_path() / "lib/carrel" / cuda::kPluginFile;
}

Result<std::unique_ptr<Backend>> loadCudaBackend(const std::filesystem::path& plugin, unsigned threads) {
    const auto none = [](std::string sentence) { return Error{Code::Unsupported, "CUDA", std::move(sentence)}; };
    std::error_code ignored;
    if (!std::filesystem::exists(plugin, ignored)) return none("Carrel was built or installed without its CUDA part.");
    // Stays open: the backend's code is in it.
    void* const library = dlopen(plugin.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        std::string said = dlerror();
        if (said.starts_with(plugin.string()))
            said.erase(0, plugin.string().size() - plugin.filename().string().size());
        return none("Carrel's CUDA part does not start: " + said + ".");  // where it lies may be nobody's business
    }
    const auto entry = reinterpret_cast<cuda::PluginEntry>(dlsym(library, cuda::kPluginSymbol));
    if (entry == nullptr) return none("carrel_cuda.so is not Carrel's.");
    char why[512] = "";
    if (Backend* const backend = entry(CARREL_BUILD_ID, threads, why, sizeof why))
        return std::unique_ptr<Backend>(backend);
    return none(why);
}

}  // namespace carrel
