#include "session/model_profile.h"

#include <nlohmann/json.hpp>
#include <span>

#include "base/file.h"

namespace carrel {

namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::uint64_t kMostBytes = 64 << 10;

}  // namespace

std::filesystem::path profilePath(const std::filesystem::path& dataDir, const std::string& fingerprint) {
    return dataDir / "profiles" / (fingerprint + ".json");
}

Result<ModelProfile> ModelProfile::read(const std::filesystem::path& dataDir, const std::string& fingerprint) {
    const auto path = profilePath(dataDir, fingerprint);
    const auto text = readFile(path, kMostBytes);
    if (!text) return text.error();
    const auto bad = [&](const char* why) { return Error{Code::Corrupt, path.string(), why}; };
    const json all = json::parse(*text, nullptr, false);
    if (!all.is_object()) return bad("not a JSON object");
    const auto field = [&](const char* name) {
        const auto at = all.find(name);
        return at == all.end() ? json() : *at;
    };
    const json version = field("version"), estimate = field("estimate");
    if (!version.is_number_integer()) return bad("no version");
    if (version != kVersion) return Error{Code::Unsupported, path.string(), "profile version " + version.dump()};
    if (field("model") != fingerprint) return bad("of another model");
    if (!estimate.is_boolean()) return bad("estimate is not true or false");
    return ModelProfile{estimate.get<bool>()};
}

Status ModelProfile::write(const std::filesystem::path& dataDir, const std::string& fingerprint) const {
    const auto path = profilePath(dataDir, fingerprint);
    if (auto made = realFileSystem().makeDirectories(path.parent_path()); !made) return made;
    const std::string text = json{{"version", kVersion}, {"model", fingerprint}, {"estimate", estimate}}.dump(1) + "\n";
    return writeFileAtomically(path, std::as_bytes(std::span(text)));
}

}  // namespace carrel
