#include "compute/choose_backend.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

#include "compute/cuda/loader.h"
#include "compute/cuda/self_check.h"
#include "compute/registry.h"

namespace carrel {

namespace {

std::string deviceOf(const Backend& cuda) {
    return cuda.name().substr(std::string_view("cuda ").size());
}

/// "a", "a and b", "a, b and 4 more".
std::string some(const std::vector<std::string>& names) {
    constexpr std::size_t kNamed = 3;
    const std::size_t named = std::min(kNamed, names.size()), more = names.size() - named;
    std::string out = names.front();
    for (std::size_t i = 1; i < named; ++i) out += (i + 1 < named || more > 0 ? ", " : " and ") + names[i];
    return more == 0 ? out : out + " and " + std::to_string(more) + " more";
}

CudaReport check(Backend& cuda) {
    CudaReport report;
    report.device = deviceOf(cuda);
    const auto rows = selfCheck(cuda);
    if (!rows) {
        report.why = "The check of the GPU " + report.device + " did not end: " + rows.error().detail + ".";
        return report;
    }
    std::vector<std::string> wrong;
    for (const SelfCheckRow& row : *rows) {
        report.operations.push_back({row.operation, row.got, row.expected});
        if (row.got != row.expected) wrong.push_back(row.operation);
    }
    report.usable = wrong.empty();
    if (!report.usable)
        report.why = "The GPU " + report.device + " is not used, because it gives other results than it should in " +
                     std::to_string(wrong.size()) + " of " + std::to_string(rows->size()) +
                     " operations: " + some(wrong) + ".";
    return report;
}

/// What a plugin and its GPU are worth does not change while they are loaded, which is for as long as the process
/// runs: they are checked once, whatever engines come and go.
const CudaReport& checkedOnce(const std::filesystem::path& plugin, Backend& cuda) {
    static std::mutex mutex;
    static std::map<std::string, CudaReport> reports;  // by plugin and GPU
    const std::lock_guard lock(mutex);
    const std::string key = plugin.string() + '\n' + cuda.name();
    const auto known = reports.find(key);
    return known != reports.end() ? known->second : reports.emplace(key, check(cuda)).first->second;
}

/// The GPU's backend, or none and why.
std::unique_ptr<Backend> checkedCuda(const BackendOptions& options, Processor& processor) {
    auto made = loadCudaBackend(options.cudaPlugin, options.threads);
    if (!made) {
        processor.why = made.error().detail;
        return nullptr;
    }
    const CudaReport& report = checkedOnce(options.cudaPlugin, **made);
    if (report.usable) {
        processor = {(*made)->name(), report.device, {}, {}};
        return std::move(*made);
    }
    processor.why = report.why;
    processor.report = cudaReportText(report);
    return nullptr;
}

bool cpuWanted(const BackendOptions& options) {
    const char* forced = std::getenv("CARREL_ISA");
    return options.choice == BackendChoice::Cpu ||
           (options.choice == BackendChoice::Auto && (!options.isa.empty() || (forced != nullptr && *forced != '\0')));
}

Status takeCpu(ChosenBackend& chosen, const BackendOptions& options) {
    auto cpu = makeCpuBackend(options.isa, options.threads);
    if (!cpu) return cpu.error();
    chosen.backend = std::move(*cpu);
    chosen.processor.backend = chosen.backend->name();
    chosen.processor.gpu.clear();
    return {};
}

}  // namespace

CudaReport checkCuda(const std::filesystem::path& plugin) {
    const auto cuda = loadCudaBackend(plugin, 0);
    if (cuda) return check(**cuda);
    CudaReport none;
    none.why = cuda.error().detail;
    return none;
}

std::string cudaReportText(const CudaReport& report) {
    std::string out;
    for (const auto& operation : report.operations) {
        char hashes[64];
        std::snprintf(
            hashes, sizeof hashes, operation.got == operation.expected ? "%016llx" : "%016llx, expected %016llx",
            static_cast<unsigned long long>(operation.got), static_cast<unsigned long long>(operation.expected));
        out += (operation.got == operation.expected ? "right  " : "wrong  ") + operation.name + "  " + hashes + "\n";
    }
    return out + (report.usable ? report.device + ": every operation gives what it should" : report.why) + "\n";
}

Result<ChosenBackend> chooseBackend(const BackendOptions& options) {
    ChosenBackend chosen;
    if (!cpuWanted(options)) chosen.backend = checkedCuda(options, chosen.processor);
    if (chosen.backend) return chosen;
    if (options.choice == BackendChoice::Cuda) {
        std::string& why = chosen.processor.why;
        return Error{Code::Unsupported, "", why.substr(0, why.find_last_not_of('.') + 1)};
    }
    if (auto taken = takeCpu(chosen, options); !taken) return taken.error();
    return chosen;
}

Status loadOnto(ChosenBackend& chosen, const BackendOptions& options, const std::function<Status(Backend&)>& load) {
    const Status loaded = load(*chosen.backend);
    const std::string gpu = chosen.processor.gpu;
    if (loaded || gpu.empty() || options.choice != BackendChoice::Auto || loaded.error().code != Code::NoMemory)
        return loaded;
    if (auto taken = takeCpu(chosen, options); !taken) return taken;
    chosen.processor.why = "The model does not fit into the memory of the GPU " + gpu + ".";
    chosen.forOneModel = true;
    return load(*chosen.backend);
}

}  // namespace carrel
