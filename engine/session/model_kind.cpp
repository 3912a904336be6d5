#include "session/model_kind.h"

#include <algorithm>

namespace carrel {

namespace {

// Architectures of llama.cpp that give a vector for a text and no next token.
constexpr std::string_view kEmbedding[] = {
    "bert",     "nomic-bert",  "nomic-bert-moe", "jina-bert-v2",    "jina-bert-v3",
    "neo-bert", "modern-bert", "t5encoder",      "gemma-embedding", "eurobert",
};

std::string kindOf(const GgufFile& file) {
    const auto type = file.string("general.type").value_or("model");
    const std::string architecture(file.string("general.architecture").value_or(""));
    if (const auto parts = file.integer("split.count").value_or(1); parts > 1)
        return "it is one of " + std::to_string(parts) + " parts of a model, and Carrel reads models of one file";
    if (type == "mmproj" || type == "clip-vision" || architecture == "clip")
        return "it is the part of a model that sees pictures, not the model itself";
    if (type == "adapter") return "it is an adapter (LoRA), which changes a model and is none itself";
    if (type == "imatrix" || architecture == "imatrix")
        return "it holds measurements for making a model smaller, not a model";
    if (std::ranges::find(kEmbedding, architecture) != std::end(kEmbedding) ||
        file.integer(architecture + ".pooling_type").value_or(0) > 0)
        return "it is a model for searching (embeddings) and cannot write answers";
    if (file.tensors().empty() && file.unsupportedTypes().empty())
        return "it holds the words of a model and not the model itself";
    return {};
}

}  // namespace

Status checkKind(const GgufFile& file) {
    if (std::string kind = kindOf(file); !kind.empty())
        return Error{Code::Unsupported, file.path().string(), std::move(kind)};
    return {};
}

}  // namespace carrel
