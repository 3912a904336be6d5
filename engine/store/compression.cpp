#include "store/compression.h"

#include <zstd.h>

namespace carrel {

namespace {
constexpr int kLevel = 1;

template <class T, std::size_t (*Free)(T*)>
struct Owned {
    explicit Owned(T* made) : context(made) {}
    Owned(const Owned&) = delete;
    ~Owned() { Free(context); }
    T* context;  // null where memory ran out: then nothing is compressed, and nothing decompresses
};
}  // namespace

struct Compressor::Context : Owned<ZSTD_CCtx, ZSTD_freeCCtx> {
    using Owned::Owned;
};
struct Decompressor::Context : Owned<ZSTD_DCtx, ZSTD_freeDCtx> {
    using Owned::Owned;
};

Compressor::Compressor() : context_(std::make_unique<Context>(ZSTD_createCCtx())) {}
Compressor::~Compressor() = default;

std::span<const std::byte> Compressor::compress(std::span<const std::byte> from) {
    if (context_->context == nullptr) return {};
    out_.resize(from.size() - (from.size() * 15 + 99) / 100);
    const std::size_t bytes =
        ZSTD_compressCCtx(context_->context, out_.data(), out_.size(), from.data(), from.size(), kLevel);
    if (ZSTD_isError(bytes) != 0) return {};  // most often: it does not fit
    return std::span(out_).first(bytes);
}

Decompressor::Decompressor() : context_(std::make_unique<Context>(ZSTD_createDCtx())) {}
Decompressor::~Decompressor() = default;

bool Decompressor::decompress(std::span<const std::byte> from, std::span<std::byte> into) {
    if (context_->context == nullptr) return false;
    return ZSTD_decompressDCtx(context_->context, into.data(), into.size(), from.data(), from.size()) == into.size();
}

std::size_t Decompressor::memoryBytes() const {
    return ZSTD_sizeof_DCtx(context_->context);
}

}  // namespace carrel
