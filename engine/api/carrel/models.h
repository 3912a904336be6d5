#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace carrel {

/// What a model file says of itself, from its header alone.
struct ModelInfo {
    std::filesystem::path file;
    std::string name, architecture;
    std::uint64_t fileBytes = 0;
    std::uint64_t kvBytesPerToken = 0;  // f16, of layers that see a whole document
    std::uint32_t window = 0;           // trained context, tokens
    // How a conversation is written for it: the family of its chat template, or "plain" where none was recognised.
    std::string chatTemplate = "plain";
    // Weights that one token goes through: all but the embeddings where these stand apart.
    std::uint64_t tokenBytes = 0;
    std::string fingerprint = {};  // of the weights, where they are loaded; names the model in readings
};

/// Reads the header of a GGUF and says whether Carrel can run it. Any thread.
/// NotAModel, Truncated, Corrupt, Unsupported (architecture, tokenizer or weight type, by name; a file that is no model
/// by itself), NoMemory (need and have). freedBytes: of memory that goes before it is loaded.
Result<ModelInfo> inspectModel(const std::filesystem::path& file, std::uint64_t freedBytes = 0);

/// Whose folder a model lies in.
enum class ModelOrigin : std::uint8_t {
    Carrel,   // its own folder
    Package,  // installed with it
    Folder,   // one that the person named
    LmStudio,
    Ollama,
    HuggingFace,
    Gpt4All,
    Jan,
    Unsloth,
    LlamaCpp,
    Downloads,
};

struct ModelPlace {
    std::filesystem::path folder;  // or one file
    ModelOrigin origin = ModelOrigin::Folder;
};

/// Where Carrel and other programs keep models, by HOME, XDG_DATA_HOME, XDG_DATA_DIRS, XDG_CACHE_HOME, OLLAMA_MODELS,
/// HF_HOME, HF_HUB_CACHE and UNSLOTH_STUDIO_HOME; folders that do not exist among them. value: of a variable, empty
/// where there is none. Downloads are not among them: their folder's name is the desktop's to say.
std::vector<ModelPlace> usualModelPlaces(const std::function<std::string(const char*)>& value);

enum class Fit : std::uint8_t {
    Fits,     // answers at 5 tokens a second or more, all in memory
    Slow,     // works, but answers more slowly, or reads from disk
    WontFit,  // weights and the least that a document needs are more than the memory there is
    Unknown,  // nothing was measured
};
struct FitEstimate {
    Fit fit = Fit::Unknown;
    double tokensPerSecond = 0;     // of an answer; 0: unknown
    std::uint64_t memoryBytes = 0;  // weights, a document's KV and what the program needs
};

/// A file that is a model, or looks like one.
struct FoundModel {
    std::filesystem::path file;  // to be used where it lies
    ModelOrigin origin = ModelOrigin::Folder;
    std::string name;  // Ollama's "qwen2.5:0.5b"; elsewhere the file's own without its ending
    /// As inspectModel has it, whatever memory there is: a model that is too large is one all the same.
    Result<ModelInfo> info = Error{};
    FitEstimate fit;  // rankByFit's to fill in
};

/// A search ends there, whatever a folder holds.
struct SearchLimits {
    unsigned depth = 6;            // folders below a place
    std::size_t entries = 20'000;  // of a place
    std::size_t models = 200;      // in all
};

/// Looks for GGUF files and Ollama's manifests. Each file once, in the order of places, however many names lead to it;
/// links to folders are followed, but no folder is entered twice, and none from Downloads. Of a model that is split
/// into files, the first stands for all. What cannot be read is passed over. Reads headers: off the GUI thread.
/// Stopped: what was found until then.
std::vector<FoundModel> findModels(const std::vector<ModelPlace>& places, std::stop_token stop,
                                   const SearchLimits& limits = {});

/// What this computer can do with a model.
struct Machine {
    std::string identity;  // processor, cores, memory and threads: figures measured on others are worth nothing
    std::uint64_t availableBytes = 0;  // of memory, without swapping; 0: cannot be told
    double bytesPerSecond = 0;         // memory is read at, by all threads together; 0: not measured
};
/// All but bytesPerSecond. threads: the engine's; 0: one per core. Cheap.
Machine thisMachine(unsigned threads);
/// Reads memory for a fifth of a second, with as many threads (0: one per core): the best that was seen, bytes per
/// second; 0 where there is no memory for it. Nothing else should run meanwhile.
double measureReadRate(unsigned threads);

/// Tokens of the document that estimates are for: some 80 pages. Shorter where the window is.
inline constexpr std::uint32_t kTypicalDocumentTokens = 32768;
/// From sizes and the measured rate alone; tests/bench/RESULTS.md says how far it is off. Pure.
FitEstimate estimateFit(const ModelInfo& model, const Machine& machine);

/// Fills in how each fits and puts those first that a person would take: usable before not, fitting before slow before
/// too large; among the fitting those with a chat format that Carrel knows, then the larger; among the slow the faster.
/// Stable. Pure.
void rankByFit(std::vector<FoundModel>& models, const Machine& machine);

}  // namespace carrel
