#pragma once

#include <carrel/compute.h>

#include <memory>

#include "compute/backend.h"
#include "gguf/file.h"
#include "kv/cache.h"
#include "session/model_profile.h"
#include "session/prompt.h"
#include "tokenizer/tokenizer.h"
#include "transformer/model.h"
#include "transformer/pass.h"

namespace carrel {

/// Tokens of a prefill pass at most, and so rows of a workspace.
inline constexpr std::size_t kBatchTokens = 512;

/// MemAvailable of the kernel, bytes: what can be had without swapping. 0 where it cannot be told.
std::uint64_t availableMemory();

/// Everything of one model file that answers: weights, words, prompt, activations.
class LoadedModel {
  public:
    /// dataDir: where the model's profile may lie; empty: none is looked for.
    static Result<std::unique_ptr<LoadedModel>> load(const std::filesystem::path& file, Backend& backend,
                                                     const std::filesystem::path& dataDir = {});

    const ModelInfo& info() const { return info_; }
    const Model& model() const { return model_; }
    const Tokenizer& tokenizer() const { return tokenizer_; }
    const Prompt& prompt() const { return prompt_; }
    Backend& backend() const { return backend_; }
    /// NotFound where there is none; any other error: why what there is does not count.
    const Result<ModelProfile>& profile() const { return profile_; }

    /// Runs ids behind `sequence` to the end, in batches. Fills logits (of the last token) where the view has rows.
    Status prefill(KvSequence& sequence, Workspace& work, std::span<const std::int32_t> ids,
                   View<float, 2> lastLogits) const;

  private:
    LoadedModel(Backend& backend, ModelInfo info, Model model, Tokenizer tokenizer, const GgufFile& file);
    Backend& backend_;
    ModelInfo info_;
    Model model_;
    Tokenizer tokenizer_;
    Prompt prompt_;
    Result<ModelProfile> profile_ = Error{Code::NotFound, "", "no profile"};
};

}  // namespace carrel
