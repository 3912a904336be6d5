#include "session/loaded_model.h"

#include <algorithm>
#include <fstream>

#include "session/model_kind.h"
#include "session/model_search.h"

namespace carrel {

std::uint64_t availableMemory() {
    std::ifstream info("/proc/meminfo");
    for (std::string key, rest; info >> key; std::getline(info, rest))
        if (key == "MemAvailable:") {
            std::uint64_t kib = 0;
            return info >> kib ? kib * 1024 : 0;
        }
    return 0;
}

namespace {

std::string mib(std::uint64_t bytes) {
    return std::to_string((bytes + (1u << 20) - 1) >> 20) + " MiB";
}

Status enoughMemory(const GgufFile& file, std::uint64_t freedBytes) {
    // Weights stay at the file's size; activations, a short context and the program itself come on top.
    const std::uint64_t need = file.fileBytes() + (std::uint64_t{256} << 20);
    const std::uint64_t now = availableMemory(), have = now + freedBytes;
    if (now != 0 && need > have)
        return Error{Code::NoMemory, file.path().string(),
                     "needs about " + mib(need) + " of memory, " + mib(have) + " are available"};
    return {};
}

ModelInfo infoOf(const GgufFile& file, const ModelConfig& config) {
    std::uint64_t tokenBytes = 0;
    const bool tied = file.find("output.weight") == nullptr;
    for (const GgufTensor& tensor : file.tensors())
        if (tied || tensor.name != "token_embd.weight") tokenBytes += tensor.bytes;
    const auto local = static_cast<std::uint64_t>(std::ranges::count(config.local.which, true));
    const std::uint64_t kvBytes = config.kvBytesPerToken() / config.layers * (config.layers - local);
    return {file.path(),   config.name, config.architecture, file.fileBytes(), kvBytes,
            config.window, "plain",     tokenBytes};
}

/// The header's say, and whether its model fits into memory where that is asked.
Result<ModelInfo> inspect(const std::filesystem::path& path, std::optional<std::uint64_t> freedBytes) {
    const auto file = GgufFile::open(path);
    if (!file) return file.error();
    if (auto whole = checkKind(*file); !whole) return whole.error();
    const auto config = readConfig(*file);
    if (!config) return config.error();
    const auto tokenizer = Tokenizer::load(*file);
    if (!tokenizer) return tokenizer.error();
    if (freedBytes)
        if (auto enough = enoughMemory(*file, *freedBytes); !enough) return enough.error();
    auto info = infoOf(*file, *config);
    info.chatTemplate = Prompt::of(*file, *tokenizer).family();
    return info;
}

}  // namespace

Result<ModelInfo> inspectModel(const std::filesystem::path& path, std::uint64_t freedBytes) {
    return inspect(path, freedBytes);
}
Result<ModelInfo> readModelInfo(const std::filesystem::path& path) {
    return inspect(path, std::nullopt);
}

LoadedModel::LoadedModel(Backend& backend, ModelInfo info, Model model, Tokenizer tokenizer, const GgufFile& file)
    : backend_(backend),
      info_(std::move(info)),
      model_(std::move(model)),
      tokenizer_(std::move(tokenizer)),
      prompt_(Prompt::of(file, tokenizer_)) {
    info_.chatTemplate = prompt_.family();
    info_.fingerprint = model_.fingerprint;
}

Result<std::unique_ptr<LoadedModel>> LoadedModel::load(const std::filesystem::path& path, Backend& backend,
                                                       const std::filesystem::path& dataDir) {
    const auto file = GgufFile::open(path);
    if (!file) return file.error();
    if (auto whole = checkKind(*file); !whole) return whole.error();
    auto config = readConfig(*file);
    if (!config) return config.error();
    if (auto enough = enoughMemory(*file, 0); !enough) return enough.error();
    auto info = infoOf(*file, *config);
    auto tokenizer = Tokenizer::load(*file);
    if (!tokenizer) return tokenizer.error();
    if (tokenizer->vocabularySize() > config->vocabulary)
        return Error{Code::Corrupt, path.string(), "more words than embeddings"};
    auto model = Model::load(*file, std::move(*config), backend);
    if (!model) return model.error();
    std::unique_ptr<LoadedModel> loaded(
        new LoadedModel(backend, std::move(info), std::move(*model), std::move(*tokenizer), *file));
    if (!dataDir.empty()) loaded->profile_ = ModelProfile::read(dataDir, loaded->model_.fingerprint);
    return loaded;
}

Status LoadedModel::prefill(KvSequence& sequence, Workspace& work, std::span<const std::int32_t> ids,
                            View<float, 2> lastLogits) const {
    while (!ids.empty()) {
        const auto now = ids.first(std::min(ids.size(), work.rows()));
        ids = ids.subspan(now.size());
        const bool last = ids.empty() && lastLogits.size(0) > 0;
        auto open = sequence.extend(backend_, static_cast<std::uint32_t>(now.size()));
        if (!open) return open.error();
        Pass pass(model_, backend_, work, {{&sequence, open->get(), now}}, last);
        if (auto done = pass.run(); !done) return done;
        if (last) pass.logits(now.size() - 1, 1, lastLogits);
        sequence.push(std::move(*open));
    }
    return {};
}

}  // namespace carrel
