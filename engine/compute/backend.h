#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "tensor/quant.h"
#include "tensor/view.h"

namespace carrel {

class Backend;

/// Memory of a backend, 64-byte aligned, freed with the handle. On the CPU plain memory; elsewhere data() is the
/// device's address.
class Buffer {
  public:
    Buffer() = default;
    Buffer(Backend* owner, void* data, std::size_t bytes) : owner_(owner), data_(data), bytes_(bytes) {}
    Buffer(Buffer&& other) noexcept;
    Buffer& operator=(Buffer&& other) noexcept;
    ~Buffer();

    std::size_t bytes() const { return bytes_; }
    template <class T>
    T* as(std::size_t byteOffset = 0) const {
        return reinterpret_cast<T*>(static_cast<std::byte*>(data_) + byteOffset);
    }

  private:
    Backend* owner_ = nullptr;
    void* data_ = nullptr;
    std::size_t bytes_ = 0;
};

/// A weight matrix [rows, cols] in the layout that the backend's kernels want, never wider than the file's own bits
/// (padding of rows to a tile apart). Rows are outputs.
class Weight {
  public:
    virtual ~Weight() = default;
    std::size_t rows = 0, cols = 0;
    DType type = DType::F32;
};

/// A point in the stream of enqueued work.
struct Event {
    std::uint64_t sequence = 0;
};

/// out = x · weightᵀ (+ bias): x [n, cols] -> out [n, rows]; with `accumulate` out += …
struct MatmulTarget {
    const Weight* weight = nullptr;
    const float* bias = nullptr;  // [rows], backend memory, or none
    View<float, 2> out;
    bool accumulate = false;
};

enum class RopeStyle : std::uint8_t { Neox, Interleaved };  // halves of a head rotate together, or neighbours

/// Consecutive tokens of one KV head: keys and values as stored, f16 [tokens, headDim] each, keys after RoPE. first is
/// a multiple of 64; tokens is at most 64, and less than 64 only in the last run of a sequence.
struct KvRun {
    const std::uint16_t* keys = nullptr;
    const std::uint16_t* values = nullptr;
    std::uint32_t first = 0, tokens = 0;
};

inline constexpr std::uint32_t kGroupTokens = 64, kLeafTokens = 16;

/// One layer's attention for the tokens of a batch, which may belong to several sequences.
///   q          [nTokens, nHeads, headDim]     f32, after RoPE, not scaled; head h reads KV head h / (nHeads /
///   nKvHeads) position   [nTokens]                      token t reads the keys at positions <= position[t] sequence
///   [nTokens]                      row of `runs` runs       [nSequences * nKvHeads]        row sequence * nKvHeads +
///   kvHead; runs ascending in `first` scale                                     1/sqrt(headDim), as a rule out
///   [nTokens, nHeads, headDim] logSumExp  [nTokens, nHeads]              of the scaled scores; may be empty mass
///   [nTokens, nHeads, nLeaves]     share of the softmax per 16 consecutive positions from 0 (only those inside runs
///   are written,
///                                             the rest is zeroed), natural order; may be empty
struct AttendArgs {
    View<const float, 3> q;
    std::span<const std::uint32_t> position, sequence;
    std::span<const std::span<const KvRun>> runs;
    std::size_t nKvHeads = 0;
    float scale = 0;
    View<float, 3> out;
    View<float, 2> logSumExp;
    View<float, 3> mass;
};

/// The operations, one call per whole tensor. Calls enqueue and return; memory handed in stays valid until an Event
/// after the call has been waited for. The CPU executes at once. One thread calls. Shapes that disagree are a bug in
/// the caller and assert. The same input row gives the same output bits whatever else is in the batch, and for any
/// number of threads.
class Backend {
  public:
    virtual ~Backend() = default;
    virtual std::string name() const = 0;  // "cpu avx512, 2 threads"

    virtual Result<Buffer> allocate(std::size_t bytes) = 0;  // NoMemory
    virtual void release(void* data, std::size_t bytes) = 0;
    virtual Event record() = 0;
    virtual Status wait(Event event) = 0;
    virtual void copyIn(void* to, std::span<const std::byte> from) = 0;
    virtual void copyOut(std::span<std::byte> to, const void* from) = 0;

    /// Takes rows x cols elements of `type` as they lie in the file. raw has exactly their bytes; they may go after the
    /// call.
    virtual Result<std::unique_ptr<Weight>> loadWeight(DType type, std::size_t rows, std::size_t cols,
                                                       std::span<const std::byte> raw) = 0;

    virtual void embed(const Weight& table, std::span<const std::int32_t> ids,
                       View<float, 2> out) = 0;  // rows of the table, to f32
    virtual void rmsNorm(View<const float, 2> x, const float* weight, float eps, View<float, 2> out) = 0;
    /// Several matrices over one input, so that it is quantised once.
    virtual void matmul(View<const float, 2> x, std::span<const MatmulTarget> targets) = 0;
    /// In place; x [nTokens, nHeads, headDim]; frequency j of headDim/2 turns by position * invFreq[j].
    virtual void rope(View<float, 3> x, std::span<const std::uint32_t> position, std::span<const float> invFreq,
                      RopeStyle style) = 0;
    /// f32 [n, dim] to f16, to nearest even; row i goes to rows[i] (what runs then point to).
    virtual void storeF16(View<const float, 2> x, std::span<std::uint16_t* const> rows) = 0;
    virtual void attend(const AttendArgs& args) = 0;
    /// gate = silu(gate) * up
    virtual void swiglu(View<float, 2> gate, View<const float, 2> up) = 0;
};

}  // namespace carrel
