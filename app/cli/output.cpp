#include <carrel/data_folder.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "commands.h"

using namespace carrel;

std::filesystem::path defaultModel() {
    const std::filesystem::path name = "models/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";
    const char* set = std::getenv("XDG_DATA_DIRS");
    std::istringstream folders(set != nullptr && *set != '\0' ? set : "/usr/local/share:/usr/share");
    std::error_code ignored;
    std::filesystem::path file = defaultDataFolder() / name;
    for (std::string folder; !std::filesystem::exists(file, ignored) && std::getline(folders, folder, ':');)
        file = std::filesystem::path(folder) / "carrel" / name;
    return std::filesystem::exists(file, ignored) ? file : defaultDataFolder() / name;
}

std::string codeName(Code code) {
    switch (code) {
        case Code::InvalidArgument:
            return "invalid-argument";
        case Code::NotFound:
            return "not-found";
        case Code::NoPermission:
            return "no-permission";
        case Code::Io:
            return "io";
        case Code::DiskFull:
            return "disk-full";
        case Code::NoMemory:
            return "no-memory";
        case Code::Truncated:
            return "truncated";
        case Code::Corrupt:
            return "corrupt";
        case Code::NotAModel:
            return "not-a-model";
        case Code::Unsupported:
            return "unsupported";
        case Code::NotADocument:
            return "not-a-document";
        case Code::NeedsPassword:
            return "needs-password";
        case Code::WrongPassword:
            return "wrong-password";
        case Code::NoText:
            return "no-text";
        case Code::HelperFailed:
            return "helper-failed";
        case Code::Busy:
            return "busy";
        case Code::Cancelled:
            return "cancelled";
        case Code::Internal:
            return "internal";
    }
    return "internal";
}

nlohmann::json tiersJson(const TierReport& report) {
    const auto use = [](const TierUsage& tier) {
        return nlohmann::json{{"budget_bytes", tier.budgetBytes},
                              {"peak_bytes", tier.peakBytes},
                              {"used_bytes", tier.usedBytes},
                              {"bytes_read", tier.bytesRead},
                              {"hits", tier.hits},
                              {"misses", tier.misses},
                              {"stall_s", tier.stallS}};
    };
    return {{"device", use(report.device)},
            {"host", use(report.host)},
            {"disk", use(report.disk)},
            {"steps", report.steps},
            {"tokens_read_share", report.tokensReadShare},
            {"certified_share", 0.0},  // the 2-bit sketch estimates and never proves
            {"estimated_mass", report.estimatedMass},
            {"judging_share", report.judgingShare},
            {"resident", report.resident},
            {"codec", report.codec},
            {"profile", report.profile},
            {"estimate", report.estimate}};
}

void addProcessor(nlohmann::json& json, const Processor& processor) {
    json["backend"] = processor.backend;
    json["why_not_gpu"] = processor.why;
    if (!processor.report.empty())
        std::fprintf(stderr, "carrel-cli: %s carrel-cli check-cuda says more.\n", processor.why.c_str());
}

std::string sentence(const carrel::Error& error) {
    const std::string what = [&]() -> std::string {
        switch (error.code) {
            case Code::InvalidArgument:
                return "This cannot be done";
            case Code::NotFound:
                return "There is no such file or document";
            case Code::NoPermission:
                return "Permission was refused; check who owns the file or folder";
            case Code::Io:
                return "Reading or writing failed; what was finished before is kept";
            case Code::DiskFull:
                return "There is not enough room on the disk; free some and run the same command again, what was read "
                       "stays read";
            case Code::NoMemory:
                return "There is not enough memory; close other programs or choose a smaller model";
            case Code::Truncated:
                return "The file is not complete; fetch it again";
            case Code::Corrupt:
                return "The file is damaged; fetch it again";
            case Code::NotAModel:
                return "This is not a GGUF model file";
            case Code::Unsupported:
                return "Carrel cannot use this";
            case Code::NotADocument:
                return "This cannot be read as a document; use a PDF, Markdown or text file";
            case Code::NeedsPassword:
                return "The document is encrypted; give its password with --password-file";
            case Code::WrongPassword:
                return "The password is not this document's";
            case Code::NoText:
                return "The pages hold no text, only pictures of it; such scans cannot be read yet";
            case Code::HelperFailed:
                return "The document helper failed";
            case Code::Busy:
                return "Another Carrel is writing this; close it or wait";
            case Code::Cancelled:
                return "Stopped; what was read stays read";
            case Code::Internal:
                return "Carrel made a mistake; please report it";
        }
        return "Carrel made a mistake";
    }();
    std::string out = what;
    if (!error.detail.empty()) out += ": " + error.detail;
    if (!error.where.empty()) out += " (" + error.where + ")";
    return out + ".";
}

int exitCode(const carrel::Error& error) {
    switch (error.code) {
        case Code::InvalidArgument:
            return 2;
        case Code::NoMemory:
        case Code::DiskFull:
        case Code::Busy:
            return 4;
        case Code::Cancelled:
            return 5;
        default:
            return 3;
    }
}

void liveLine(const std::string& text) {
    if (isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\r\033[K%s", text.c_str());
}

void progressLine(const std::string& text) {
    if (isatty(STDERR_FILENO) != 0)
        liveLine(text);
    else
        std::fprintf(stderr, "%s\n", text.c_str());
}

void endLiveLine() {
    if (isatty(STDERR_FILENO) != 0) std::fputs("\r\033[K", stderr);
}
