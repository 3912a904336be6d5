#include <carrel/models.h>

#include <cstdio>
#include <cstdlib>

#include "commands.h"

using namespace carrel;

CommandResult modelsCommand(const Common& common) {
    constexpr const char* kFits[] = {"fits", "slow", "wont-fit", "unknown"};
    auto places = usualModelPlaces([](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value == nullptr ? "" : value);
    });
    if (const char* home = std::getenv("HOME"))
        places.push_back({std::filesystem::path(home) / "Downloads", ModelOrigin::Downloads});
    Machine machine = thisMachine(common.threads);
    machine.bytesPerSecond = measureReadRate(common.threads);
    auto models = findModels(places, common.stop);
    rankByFit(models, machine);
    Output out{{{"machine", machine.identity},
                {"available_bytes", machine.availableBytes},
                {"bytes_per_s", machine.bytesPerSecond},
                {"models", nlohmann::json::array()}},
               {}};
    for (const FoundModel& model : models) {
        nlohmann::json row{{"file", model.file.string()}, {"name", model.name}};
        char line[160] = "not usable";
        if (model.info) {
            const char* fit = kFits[static_cast<std::size_t>(model.fit.fit)];
            row.update({{"fit", fit},
                        {"tokens_per_s", model.fit.tokensPerSecond},
                        {"memory_bytes", model.fit.memoryBytes},
                        {"token_bytes", model.info->tokenBytes}});
            std::snprintf(line, sizeof line, "%s, about %.1f tokens/s, %.1f GB of memory", fit,
                          model.fit.tokensPerSecond, static_cast<double>(model.fit.memoryBytes) / 1e9);
        } else {
            row["error"] = {{"code", codeName(model.info.error().code)}, {"detail", sentence(model.info.error())}};
        }
        out.text += model.name + "  (" + line + ")  " + model.file.string() + "\n";
        if (!model.info) out.text += "    " + sentence(model.info.error()) + "\n";
        out.json["models"].push_back(std::move(row));
    }
    return out;
}
