#include "compute/cuda/cuda_weight.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "compute/cuda/weight_stream.h"

namespace carrel::cuda {

namespace {

struct RowPlace {
    std::byte* plane;
    std::size_t row;
    void put(std::size_t bytes, const void* from) const { std::memcpy(plane + row * bytes, from, bytes); }
};

// A row's factors, as they lie in its block of the file.
void packFactors(DType type, const std::byte* block, RowPlace to) {
    const auto next = [&to](std::size_t bytes) { to.plane += bytes * kTileRows; };
    switch (type) {
        case DType::Q6_K:
            to.put(16, block + 192);
            next(16);
            to.put(2, block + 208);
            break;
        case DType::Q2_K:
            to.put(16, block);
            next(16);
            to.put(4, block + 80);
            break;
        case DType::Q3_K:
            for (std::size_t i = 0; i < 3; ++i, next(4)) to.put(4, block + 96 + 4 * i);
            to.put(2, block + 108);
            break;
        default:
            to.put(factorBytes(type), block);
    }
}

// A row's 32 quants.
void packQuants(DType type, const std::uint8_t q[32], RowPlace to) {
    const auto next = [&to](std::size_t bytes) { to.plane += bytes * kTileRows; };
    const unsigned bits = quantBits(type);
    std::uint8_t bytes[32];
    if (bits == 8) {
        for (std::size_t i = 0; i < 32; ++i) bytes[i] = q[i] ^ 0x80;
        to.put(16, bytes);
        next(16);
        to.put(16, bytes + 16);
        return;
    }
    unsigned below = 0;
    if (bits >= 4) {
        for (std::size_t i = 0; i < 16; ++i) bytes[i] = static_cast<std::uint8_t>((q[i] & 15) | q[i + 16] << 4);
        to.put(16, bytes);
        next(16);
        below = 4;
    }
    if (bits == 6 || bits <= 3) {
        std::uint8_t pairs[8] = {};
        for (std::size_t i = 0; i < 32; ++i)
            pairs[i / 16 * 4 + i % 4] |= static_cast<std::uint8_t>((q[i] >> below & 3) << 2 * (i / 4 % 4));
        to.put(8, pairs);
        next(8);
        below += 2;
    }
    if (bits == 5 || bits == 3) {
        std::uint8_t singles[4] = {};
        for (std::size_t i = 0; i < 32; ++i) singles[i % 4] |= static_cast<std::uint8_t>((q[i] >> below & 1) << i / 4);
        to.put(4, singles);
    }
}

void packFloats(DType type, std::size_t cols, const std::byte* raw, std::size_t row, std::byte* tile) {
    const std::size_t size = quantBits(type) / 8, each = 16 / size;
    for (std::size_t c = 0; c < cols; c += each)
        std::memcpy(tile + (c / each * kTileRows + row) * 16, raw + c * size, std::min(each, cols - c) * size);
}

}  // namespace

void packTile(DType type, std::size_t rows, std::size_t cols, const std::byte* raw, std::byte* tile) {
    const DTypeInfo info = *dtypeInfo(static_cast<std::uint32_t>(type));
    const std::size_t rowBytes = cols / info.blockElements * info.blockBytes;
    std::memset(tile, 0, tileBytes(type, cols));
    for (std::size_t row = 0; row < rows; ++row, raw += rowBytes) {
        if (isFloat(type)) {
            packFloats(type, cols, raw, row, tile);
            continue;
        }
        const std::size_t each = unitBlocks(type);
        for (std::size_t b = 0; b < cols / 32; ++b) {
            std::byte* const unit = tile + b / each * unitBytes(type);
            if (b % each == 0) packFactors(type, raw + b / each * info.blockBytes, {unit, row});
            const Columns32 c = columns32(type, raw, b);
            packQuants(type, c.q, {unit + factorBytes(type) * kTileRows + b % each * quantBytes(type), row});
        }
    }
}

CudaWeight::~CudaWeight() {
    if (streamed_ != nullptr) {
        streamed_->remove(*this);
        cudaFreeHost(tiles_);
    } else if (tiles_ != nullptr) {
        cudaFree(tiles_);
    }
}

Result<std::unique_ptr<Weight>> CudaWeight::load(DType type, std::size_t rows, std::size_t cols, std::size_t bytes,
                                                 const ReadRaw& read, const Loading& loading) {
    const auto info = dtypeInfo(static_cast<std::uint32_t>(type));
    if (!info) return info.error();
    const std::size_t rowBytes = cols / info->blockElements * info->blockBytes;
    if (rows == 0 || cols == 0 || cols % info->blockElements != 0 || bytes != rows * rowBytes)
        return Error{Code::InvalidArgument, "weight",
                     std::to_string(bytes) + " bytes for " + std::to_string(rows) + " x " + std::to_string(cols)};
    auto weight = std::make_unique<CudaWeight>();
    weight->type = type;
    weight->rows = rows;
    weight->cols = cols;
    const std::size_t tiles = tilesOf(rows), each = tileBytes(type, cols);
    void* memory = nullptr;
    std::size_t available = 0, total = 0;
    const bool fits = cudaMemGetInfo(&available, &total) == cudaSuccess &&
                      available >= tiles * each + loading.leastFree && cudaMalloc(&memory, tiles * each) == cudaSuccess;
    if (!fits) {
        if (cudaMallocHost(&memory, tiles * each) != cudaSuccess)
            return Error{Code::NoMemory, "weight", std::to_string(tiles * each) + " bytes that a GPU can reach"};
        weight->streamed_ = &loading.streamed;
        loading.streamed.add(*weight);
    }
    weight->tiles_ = static_cast<unsigned char*>(memory);

    std::mutex mutex;
    Status status;
    const std::size_t perPiece = fits ? std::max<std::size_t>(1, loading.staging.pieceBytes() / each) : tiles;
    for (std::size_t first = 0; first < tiles && status; first += perPiece) {
        const std::size_t count = std::min(perPiece, tiles - first);
        auto* const piece =
            static_cast<std::byte*>(fits ? loading.staging.stage(count * each, loading.stream) : memory);
        if (piece == nullptr) break;
        loading.pool.parallelFor(count, [&](std::size_t i) {
            const std::size_t row = (first + i) * kTileRows, some = std::min(kTileRows, rows - row);
            std::vector<std::byte> raw(some * rowBytes);
            if (const auto done = read(row * rowBytes, raw); !done) {
                const std::lock_guard lock(mutex);
                status = done;
                return;
            }
            packTile(type, some, cols, raw.data(), piece + i * each);
        });
        if (!fits) break;
        if (const auto copied = cudaMemcpyAsync(weight->tiles_ + first * each, piece, count * each,
                                                cudaMemcpyHostToDevice, loading.stream);
            copied != cudaSuccess)
            return Error{Code::Internal, "weight", cudaGetErrorString(copied)};
    }
    if (!status) return status.error();
    if (const auto error = loading.staging.error(); error != cudaSuccess)
        return Error{Code::NoMemory, "weight", cudaGetErrorString(error)};
    if (loading.streamed.error() != cudaSuccess)
        return Error{Code::NoMemory, "weight", cudaGetErrorString(loading.streamed.error())};
    return std::unique_ptr<Weight>(std::move(weight));
}

}  // namespace carrel::cuda
