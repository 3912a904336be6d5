#include <carrel/cuda.h>

#include <algorithm>

#include "compute/cuda/loader.h"
#include "compute/cuda/self_check.h"

namespace carrel {

CudaReport checkCuda(const std::filesystem::path& program) {
    CudaReport report;
    const auto backend = loadCudaBackend(cudaPluginFor(program), 0);
    if (!backend) {
        report.why = backend.error().detail;
        return report;
    }
    report.device = (*backend)->name();
    const auto rows = selfCheck(**backend);
    if (!rows) {
        report.why = "The GPU's check did not end: " + rows.error().detail + ".";
        return report;
    }
    for (const SelfCheckRow& row : *rows) report.operations.push_back({row.operation, row.got, row.expected});
    const auto wrong = std::ranges::count_if(*rows, [](const SelfCheckRow& row) { return row.got != row.expected; });
    report.usable = wrong == 0;
    if (wrong != 0)
        report.why = "The GPU gives other results than it should in " + std::to_string(wrong) + " of " +
                     std::to_string(rows->size()) + " operations, so it is not used.";
    return report;
}

}  // namespace carrel
