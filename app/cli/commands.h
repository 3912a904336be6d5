#pragma once

#include <carrel/cuda.h>
#include <carrel/result.h>
#include <carrel/tiers.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>

/// What every command shares. The contract of names, keys, units and exit codes is the command line's own help and
/// README.
struct Common {
    std::filesystem::path program;  // carrel-cli itself
    std::filesystem::path model, data;
    unsigned threads = 0;
    std::string isa;
    carrel::BackendChoice backend = carrel::BackendChoice::Auto;
    std::filesystem::path cudaPlugin;
    carrel::KvSettings kv;
    bool json = false;
    std::stop_token stop;  // SIGINT
};

/// What a command came to: `json` for scripts, `text` for people.
struct Output {
    nlohmann::json json;
    std::string text;
};
using CommandResult = carrel::Result<Output>;

/// The catalog's default: where models/fetch puts it, or else in a folder of $XDG_DATA_DIRS, where its package does.
std::filesystem::path defaultModel();

CommandResult tokenizeCommand(const Common& common, const std::filesystem::path& file,
                              const std::filesystem::path& texts);
CommandResult generateCommand(const Common& common, const std::filesystem::path& file, std::uint32_t predict);
CommandResult logitsCommand(const Common& common, const std::filesystem::path& ids, std::uint32_t top,
                            std::uint32_t last);
CommandResult perplexityCommand(const Common& common, const std::filesystem::path& file, std::uint32_t context,
                                std::uint32_t windows);
/// kept: a folder whose readings are used again and stay; empty: a temporary one.
CommandResult benchCommand(const Common& common, const std::filesystem::path& file, std::uint32_t tokens,
                           std::uint32_t batch, std::uint32_t predict, const std::filesystem::path& kept);
struct CompareOptions {
    std::filesystem::path file, kept;
    std::uint32_t tokens = 0, probes = 0;
    std::string reference;  // "codec=f16,prefill=dense"
};
CommandResult compareCommand(const Common& common, const CompareOptions& options);
CommandResult profileCommand(const Common& common, const CompareOptions& options);

struct AskOptions {
    std::string document;  // a file, or the SHA-256 of a document in the library (or its beginning)
    std::vector<std::string> questions;
    std::uint32_t predict = 256;
    std::string password;
};
CommandResult readCommand(const Common& common, const std::string& document, const std::string& password);
CommandResult askCommand(const Common& common, const AskOptions& options);
CommandResult inspectCommand(const Common& common, const std::string& document, const std::string& password);
CommandResult verifyCommand(const Common& common, const std::string& document, const std::string& password);
CommandResult listCommand(const Common& common);
/// Models on this computer, best first, with an estimate of what each would do here.
CommandResult modelsCommand(const Common& common);
/// Whether the GPU can be used, and the bits of every operation on it.
CommandResult checkCudaCommand(const Common& common);
CommandResult forgetCommand(const Common& common, const std::string& document);
CommandResult findCommand(const Common& common, const std::string& words);

/// The `tiers` block.
nlohmann::json tiersJson(const carrel::TierReport& report);

/// Adds who computed, and why it was no GPU. One that gave wrong results is named on stderr, too.
void addProcessor(nlohmann::json& json, const carrel::Processor& processor);

/// One sentence for a person, and the exit code of the contract.
std::string sentence(const carrel::Error& error);
int exitCode(const carrel::Error& error);
std::string codeName(carrel::Code code);
/// A live line on stderr where that is a terminal.
void liveLine(const std::string& text);
void endLiveLine();
/// The same, and a line of its own where stderr is a file: for what a script may want to follow.
void progressLine(const std::string& text);
