#include "compute/cuda/weight_stream.h"

#include <algorithm>

namespace carrel::cuda {

namespace {

// Two of them are all that a model that does not fit takes of the device, and a bus is at its full rate with less.
constexpr std::size_t kPieceBytes = std::size_t{16} << 20;

}  // namespace

WeightStream::~WeightStream() {
    if (copies_ == nullptr) return;
    cudaStreamSynchronize(copies_);
    for (Slot& slot : slots_) {
        if (slot.memory != nullptr) cudaFree(slot.memory);
        for (cudaEvent_t event : {slot.filled, slot.used})
            if (event != nullptr) cudaEventDestroy(event);
    }
    cudaStreamDestroy(copies_);
}

void WeightStream::open() {
    if (copies_ != nullptr) return;
    keep(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking));
    for (Slot& slot : slots_)
        for (cudaEvent_t* event : {&slot.filled, &slot.used})
            if (error_ == cudaSuccess) keep(cudaEventCreateWithFlags(event, cudaEventDisableTiming));
}

void WeightStream::add(const CudaWeight& weight) {
    open();
    weights_.push_back(&weight);
}

void WeightStream::remove(const CudaWeight& weight) {
    if (std::erase(weights_, &weight) == 0) return;
    keep(cudaStreamSynchronize(copies_));
    for (Slot& slot : slots_)
        if (slot.piece.weight == &weight) slot.piece = {};
}

std::size_t WeightStream::tilesAPiece(const CudaWeight& weight) {
    return std::clamp<std::size_t>(kPieceBytes / tileBytes(weight.type, weight.cols), 1, tilesOf(weight.rows));
}

WeightStream::Piece WeightStream::after(const Piece& piece) const {
    const std::size_t next = piece.first + piece.count, tiles = tilesOf(piece.weight->rows);
    const auto of = [](const CudaWeight& weight, std::size_t first) {
        return Piece{&weight, first, std::min(tilesAPiece(weight), tilesOf(weight.rows) - first)};
    };
    if (next < tiles) return of(*piece.weight, next);
    const auto at = std::ranges::find(weights_, piece.weight) + 1;
    return of(at == weights_.end() ? *weights_.front() : **at, 0);
}

void WeightStream::fill(Slot& slot, const Piece& piece) {
    const std::size_t each = tileBytes(piece.weight->type, piece.weight->cols), bytes = piece.count * each;
    if (slot.bytes < bytes) {
        keep(cudaEventSynchronize(slot.used));
        keep(cudaStreamSynchronize(copies_));
        if (slot.memory != nullptr) keep(cudaFree(slot.memory));
        slot.memory = nullptr;
        slot.bytes = std::max(bytes, kPieceBytes);
        keep(cudaMalloc(&slot.memory, slot.bytes));
    }
    if (error_ != cudaSuccess) return;
    keep(cudaStreamWaitEvent(copies_, slot.used));
    keep(cudaMemcpyAsync(slot.memory, piece.weight->tiles() + piece.first * each, bytes, cudaMemcpyHostToDevice,
                         copies_));
    keep(cudaEventRecord(slot.filled, copies_));
    slot.piece = piece;
}

const unsigned char* WeightStream::get(const Piece& piece, cudaStream_t stream) {
    if (last_ != nullptr) keep(cudaEventRecord(last_->used, stream));
    Slot* slot = std::ranges::find(slots_, piece, &Slot::piece);
    if (slot == std::end(slots_)) {
        slot = &slots_[last_ == &slots_[0] ? 1 : 0];  // what was used last may still be
        fill(*slot, piece);
    }
    Slot& other = slots_[slot == &slots_[0] ? 1 : 0];
    if (const Piece next = after(piece); next != piece && next != other.piece) fill(other, next);
    if (error_ != cudaSuccess) return nullptr;
    keep(cudaStreamWaitEvent(stream, slot->filled));
    last_ = slot;
    return static_cast<const unsigned char*>(slot->memory);
}

}  // namespace carrel::cuda
