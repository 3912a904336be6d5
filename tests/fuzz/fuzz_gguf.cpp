// Any bytes as a model file: opening it, its weights, its vocabulary and a text encoded with that.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz/fuzz.h"
#include "gguf/file.h"
#include "models/tiny_model.h"
#include "tokenizer/tokenizer.h"

using namespace carrel;

std::vector<std::vector<std::byte>> fuzzSeeds() {
    // readable.
    auto model = tinyModel({.layers = 1, .heads = 1, .kvHeads = 1, .headDim = 32, .ffn = 32, .tiedOutput = true});
    auto other = tinyModel({.architecture = "qwen2",
                            .type = DType::Q8_0,
                            .layers = 1,
                            .heads = 1,
                            .kvHeads = 1,
                            .headDim = 32,
                            .ffn = 32});
    auto pieces = tinyModel({.layers = 1, .heads = 1, .kvHeads = 1, .headDim = 32, .ffn = 32, .sentencePiece = true});
    return {std::move(model), std::move(other), std::move(pieces)};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const int fd = ::memfd_create("model", MFD_CLOEXEC);
    promised(::ftruncate(fd, 0) == 0 && ::pwrite(fd, data, size, 0) == static_cast<ssize_t>(size));
    const auto file = GgufFile::open("/proc/self/fd/" + std::to_string(fd));
    if (!file) {
        promised(!file.error().detail.empty());
        return 0;
    }
    for (const GgufTensor& tensor : file->tensors()) {
        promised(tensor.bytes <= size && tensor.fileOffset <= size - tensor.bytes);
        promised(file->find(tensor.name) == &tensor);
        const auto bytes = file->read(tensor);
        promised(bytes && bytes->size() == tensor.bytes);
    }
    promised(bool(file->fingerprint()));
    const auto tokenizer = Tokenizer::load(*file);
    if (!tokenizer) return 0;
    const std::string text = "the page <|im_start|> and\r\n\n  12 don't \xc3\xa9 \xff<|im_end|>";
    const auto tokens = tokenizer->encode(text);
    promised(bool(tokens) && bool(tokenizer->encodeWithSpecials(text)));
    for (const TextToken token : *tokens) promised(static_cast<std::size_t>(token.id) < tokenizer->vocabularySize());
    return 0;
}
