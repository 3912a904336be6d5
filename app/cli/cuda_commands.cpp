#include <carrel/cuda.h>

#include <cstdio>

#include "commands.h"

CommandResult checkCudaCommand(const Common& common) {
    const carrel::CudaReport report = carrel::checkCuda(common.cudaPlugin);
    Output out{{{"usable", report.usable},
                {"device", report.device},
                {"why", report.why},
                {"operations", nlohmann::json::array()}},
               carrel::cudaReportText(report)};
    for (const auto& operation : report.operations) {
        char got[17], expected[17];
        std::snprintf(got, sizeof got, "%016llx", static_cast<unsigned long long>(operation.got));
        std::snprintf(expected, sizeof expected, "%016llx", static_cast<unsigned long long>(operation.expected));
        out.json["operations"].push_back({{"name", operation.name}, {"hash", got}, {"expected", expected}});
    }
    return out;
}
