#include <carrel/cuda.h>

#include <cstdio>

#include "commands.h"

CommandResult checkCudaCommand(const Common& common) {
    const carrel::CudaReport report = carrel::checkCuda(common.program);
    Output out{{{"usable", report.usable},
                {"device", report.device},
                {"why", report.why},
                {"operations", nlohmann::json::array()}},
               {}};
    for (const auto& operation : report.operations) {
        char got[17], expected[17];
        std::snprintf(got, sizeof got, "%016llx", static_cast<unsigned long long>(operation.got));
        std::snprintf(expected, sizeof expected, "%016llx", static_cast<unsigned long long>(operation.expected));
        const bool right = operation.got == operation.expected;
        out.json["operations"].push_back({{"name", operation.name}, {"hash", got}, {"expected", expected}});
        out.text += std::string(right ? "right  " : "wrong  ") + operation.name + "  " + got +
                    (right ? "" : std::string(", expected ") + expected) + "\n";
    }
    out.text += report.usable ? report.device + ": every operation gives what it should\n" : report.why + "\n";
    return out;
}
