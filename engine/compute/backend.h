#pragma once

#include <carrel/result.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tensor/kv_layout.h"
#include "tensor/quant.h"
#include "tensor/view.h"

namespace carrel {

class Backend;

/// Where memory lies. Host: the host reads and writes it, though not while enqueued work has to do with it (Backend
/// says more), and a device over its bus. Device: what a device works on, in its own memory where it has one; the host
/// only hands its address on.
enum class MemoryKind : std::uint8_t { Host, Device };

/// Memory of a backend, 64-byte aligned, freed with the handle once what was enqueued is done.
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

/// Fills `into` with a weight's bytes from `offset` on. Called from any thread, several at a time.
using ReadRaw = std::function<Status(std::size_t offset, std::span<std::byte> into)>;

/// From one place of a backend's memory to another, of any kinds. from null: zeros.
struct CopyPiece {
    void* to = nullptr;
    const void* from = nullptr;
    std::size_t bytes = 0;
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

/// Tokens of one encoded leaf that are read.
struct KvPick {
    const std::byte* rows = nullptr;      // the leaf as unpack() laid it out
    const std::uint16_t* grid = nullptr;  // f16 [2, headDim]: least key and step of the leaf's group
    std::uint32_t leaf = 0;               // position / 16
    std::uint16_t tokens = 0;             // bit t: token t of the leaf
};

/// Up to 64 keys and values of one KV head; one of three kinds.
/// f16: consecutive tokens as stored, [tokens, headDim] each, keys after RoPE; first is a multiple of 64, and tokens is
///   less than 64 only in the last such run of a sequence. A token sees the keys up to its own position.
/// picks: chosen tokens of encoded leaves, in order, `tokens` in all; every token sees them. first: the least position.
/// Both with a sliding window: a token sees the last `window` keys up to its own alone; picks are then a whole group.
/// rest: `tokens` leaves from position `first` on, whole groups, each as its mean value; what a leaf weighs to a token
///   comes with the call (AttendArgs::weight). Not counted in mass.
struct KvRun {
    static constexpr std::uint32_t kNoWindow = 1u << 31;  // positions are below
    const std::uint16_t* keys = nullptr;
    const std::uint16_t* values = nullptr;
    std::uint32_t first = 0, tokens = 0;
    std::span<const KvPick> picks = {};
    const std::byte* rest = nullptr;  // the value means of its groups (kv_layout.h)
    bool late = false;                // AttendPass
    std::uint32_t window = kNoWindow;
};

/// One call may come in two, so that what is there is attended to while the rest is still being read: There leaves runs
/// that are late alone and writes nothing; Late, which follows with the same arguments, does those and ends the call.
enum class AttendPass : std::uint8_t { All, There, Late };

/// One layer's attention for the tokens of a batch, which may belong to several sequences.
///   q          [nTokens, nHeads, headDim]      f32, after RoPE, not scaled; head h reads KV head h * nKvHeads / nHeads
///   position   [nTokens]                       of each token
///   sequence   [nTokens]                       row of `runs`
///   runs       [nSequences * nKvHeads]         row sequence * nKvHeads + kvHead; f16 and picks ascending in `first`
///                                              among their kind
///   scale                                      1/sqrt(headDim), as a rule
///   codec                                      of what picks are of; K8V4: any grid
///   out        [nTokens, nHeads, headDim]
///   logSumExp  [nTokens, nHeads]               of the scaled scores; may be empty
///   mass       [nTokens, nHeads, nLeaves]      share of the softmax per leaf of 16 positions; only those inside runs
///                                              are written, the rest is zeroed where `begins`; may be empty
///   weight     [nTokens, nHeads, nLeaves]      JudgeArgs::rest, and
///   origin     [nTokens, nHeads]               JudgeArgs::origin; needed where runs are rests
///   state      [nTokens, nHeads, headDim + 2]  unnormalised sums between calls; needed unless `begins` and `ends`
/// Attention over more than is at hand at once takes several calls on the same q and state: the first begins, the last
/// ends and writes out. Bits are those of one call. logSumExp and mass are written by every call that has them: of all
/// so far. The caller rescales mass of earlier calls by exp(logSumExp then - logSumExp at the end).
struct AttendArgs {
    View<const float, 3> q;
    std::span<const std::uint32_t> position, sequence;
    std::span<const std::span<const KvRun>> runs;
    std::size_t nKvHeads = 0;
    float scale = 0;
    KvCodec codec = KvCodec::K8V4;
    View<float, 3> out;
    View<float, 2> logSumExp;
    View<float, 3> mass;
    View<const float, 3> weight;
    View<const float, 2> origin;
    View<float, 3> state;
    bool begins = true, ends = true;
    AttendPass pass = AttendPass::All;
};

/// One group's parts (kv_layout.h) and the f16 keys and values [64, headDim] that they encode.
struct EncodeGroup {
    const std::uint16_t* keys = nullptr;
    const std::uint16_t* values = nullptr;
    std::byte *payload = nullptr, *codes = nullptr, *means = nullptr;
};
/// One group's parts, and where its means go.
struct GroupMeans {
    const std::byte *payload = nullptr, *codes = nullptr;
    std::byte* means = nullptr;
};
/// One leaf's parts, and where it goes as rows.
struct UnpackLeaf {
    const std::byte* plane = nullptr;   // in the group's codes
    const std::byte* low = nullptr;     // middle and low bits, in its payload
    const std::byte* values = nullptr;  // its 16 tokens', in its payload
    const std::byte* grid = nullptr;    // of its 16 tokens' values, in its payload
    std::byte* rows = nullptr;
};

/// Leaf 0 to 3 of a group's payload and codes.
constexpr UnpackLeaf packedLeaf(KvCodec codec, std::uint32_t headDim, const std::byte* payload, const std::byte* codes,
                                std::uint32_t leaf, std::byte* rows) {
    const std::byte* values = payload + kGroupLeaves * lowLeafBytes(headDim);
    const std::byte* grid = values + kGroupLeaves * valueLeafBytes(codec, headDim);
    return {codes + leaf * planeLeafBytes(headDim), payload + leaf * lowLeafBytes(headDim),
            values + leaf * valueLeafBytes(codec, headDim), grid + leaf * valueGridBytes(codec, headDim), rows};
}

/// One layer's sketch of one KV head: groups side by side (kv_layout.h); means may be missing.
struct SketchView {
    const std::byte* codes = nullptr;
    const std::byte *keyMeans = nullptr, *valueMeans = nullptr;
    std::uint32_t groups = 0;
};

/// What keys are judged by: the 2-bit plane; mean keys of leaves; or the paper's bounds, min and max per channel.
enum class Scorer : std::uint8_t { Plane, Means, MinMax };

/// Which tokens a KV head reads of those judged. Shares are of a query head's whole attention, exact part included.
struct SelectRule {
    Scorer scorer = Scorer::Plane;
    float tokenShare = 0;      // a token's share for some head of the group must exceed this,
    float leafShare = 0;       // and its leaf's share this; 0: no condition
    float newLeafShare = 0;    // or this, of a leaf that the sequence has not chosen lately; 0: the same
    bool wholeLeaves = false;  // leaves are chosen, by leafShare alone
    /// At most so many tokens per KV head, those with the largest shares summed over its heads (then by position).
    std::uint32_t cap = UINT32_MAX;
    /// The paper's released way (MinMax): raw bounds summed over all heads, one choice per layer, chunks of
    /// 128 tokens split down to chunkTokens in rounds until `cap` tokens are taken.
    bool layerChoice = false;
    std::uint32_t chunkTokens = 16;  // of bounds and of what MinMax chooses: 16, 32, 64 or 128
};

/// Importance of one layer's keys for the newest tokens of nTokens sequences on the same document.
///   q        [nTokens, nHeads, headDim]  as in AttendArgs
///   sketch   [nKvHeads]
///   bounds   [nKvHeads]  f16 [chunks][2][headDim] least and greatest key of every chunkTokens tokens; MinMax only
///   first, end           leaves judged: [first, end); the others are read anyway or not there
///   exact    [nTokens, nHeads]  log-sum-exp of what is read anyway
///   lately   [nTokens]  each [nKvHeads, nLeaves], 0: a new leaf, for newLeafShare; empty or null: none is new. Of the
///                       host's memory, which is read before the call returns
///   chosen   [nTokens, nKvHeads, nLeaves]  out: bit t of a leaf: its token t is to be read; 0 outside [first, end)
///   share    [nTokens, nHeads]  out: estimated share of attention that the chosen tokens have; may be empty
///   rest     [nTokens, nHeads, nLeaves]  out: what a leaf's tokens that are not chosen weigh in the softmax's sum, in
///                                        units of exp(origin): their number times the power mean, of exponent 1/2, of
///                                        their weights by score. 0 outside [first, end). May be empty; not of MinMax
///   origin   [nTokens, nHeads]           out: a logarithm; with rest
/// The power mean lies half way between the mean score's weight, which leaves out what stands out of a leaf, and the
/// mean weight, in which the errors of 2-bit scores add up.
struct JudgeArgs {
    View<const float, 3> q;
    std::span<const SketchView> sketch;
    std::span<const std::uint16_t* const> bounds;
    std::uint32_t first = 0, end = 0;
    float scale = 0;
    View<const float, 2> exact;
    std::span<const std::uint8_t* const> lately;
    SelectRule rule;
    View<std::uint16_t, 3> chosen;
    View<float, 2> share;
    View<float, 3> rest;
    View<float, 2> origin;
};

/// The operations, one call per whole tensor, in the order of the calls. Calls enqueue and return; the CPU executes at
/// once. One thread calls. Shapes that disagree are a bug in the caller and assert. The same input row gives the same
/// output bits whatever else is in the batch, and for any number of threads.
/// Views, and pointers wherever they stand, are to memory of allocate() that is valid until an Event after the call has
/// been waited for; JudgeArgs::lately alone points to the host's. Spans are the host's and have been read when the call
/// returns. Host code that reads what enqueued work writes, or writes what it reads, waits first: settle().
/// A device may do unpack() beside what was called before and after, in the order of calls with attend(), encode(),
/// means(), copies, unpack() and waits alone. With attend() of AttendPass::There called last of these it need not wait
/// for that, which must not read what it writes.
/// What fails on a device fails the waits that follow, all of them.
class Backend {
  public:
    virtual ~Backend() = default;
    virtual std::string name() const = 0;  // "cpu avx512, 2 threads"

    virtual Result<Buffer> allocate(std::size_t bytes, MemoryKind kind = MemoryKind::Host) = 0;  // NoMemory
    virtual void release(void* data, std::size_t bytes) = 0;
    /// Of MemoryKind::Device, the bytes that are free; nothing where that is the host's own memory.
    virtual std::optional<std::uint64_t> freeDeviceBytes() const { return std::nullopt; }
    virtual Event record() = 0;
    virtual Status wait(Event event) = 0;
    /// Waits for all that was enqueued. An error shows at a later wait() too, where somebody can report it.
    void settle() { static_cast<void>(static_cast<bool>(wait(record()))); }
    /// Pieces do not overlap.
    virtual void copy(std::span<const CopyPiece> pieces) = 0;
    /// `from`, any memory of the host, has been read on return.
    virtual void copyIn(void* to, std::span<const std::byte> from) = 0;
    /// Waits for what was enqueued before.
    virtual void copyOut(std::span<std::byte> to, const void* from) = 0;

    /// Takes rows x cols elements of `type` as they lie in the file, `bytes` in all, a part at a time.
    virtual Result<std::unique_ptr<Weight>> loadWeight(DType type, std::size_t rows, std::size_t cols,
                                                       std::size_t bytes, const ReadRaw& read) = 0;
    /// The same from memory, which may go after the call.
    Result<std::unique_ptr<Weight>> loadWeight(DType type, std::size_t rows, std::size_t cols,
                                               std::span<const std::byte> raw) {
        return loadWeight(type, rows, cols, raw.size(), [raw](std::size_t offset, std::span<std::byte> into) -> Status {
            std::copy_n(raw.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
            return {};
        });
    }

    /// Rows of the table, to f32, times scale.
    virtual void embed(const Weight& table, std::span<const std::int32_t> ids, View<float, 2> out, float scale = 1) = 0;
    /// out may be x.
    virtual void rmsNorm(View<const float, 2> x, const float* weight, float eps, View<float, 2> out) = 0;
    /// out += rmsNorm(x)
    virtual void addRmsNorm(View<const float, 2> x, const float* weight, float eps, View<float, 2> out) = 0;
    /// Several matrices over one input, so that it is quantised once.
    virtual void matmul(View<const float, 2> x, std::span<const MatmulTarget> targets) = 0;
    /// In place; x [nTokens, nHeads, headDim]; frequency j of headDim/2 turns by position * invFreq[j].
    virtual void rope(View<float, 3> x, std::span<const std::uint32_t> position, std::span<const float> invFreq,
                      RopeStyle style) = 0;
    /// f32 [n, dim] to f16, to nearest even; row i goes to rows[i] (what runs then point to).
    virtual void storeF16(View<const float, 2> x, std::span<std::uint16_t* const> rows) = 0;
    virtual void attend(const AttendArgs& args) = 0;

    /// Whole groups of 64 tokens. K8 codecs only, encodable(headDim). Equal input gives equal bytes, on every machine.
    virtual void encode(KvCodec codec, std::size_t headDim, std::span<const EncodeGroup> groups) = 0;
    virtual void unpack(KvCodec codec, std::size_t headDim, std::span<const UnpackLeaf> leaves) = 0;
    /// The means that encode() gave of these groups.
    virtual void means(KvCodec codec, std::size_t headDim, std::span<const GroupMeans> groups) = 0;
    /// The same choice whatever else is in the batch and for any number of threads.
    virtual void judge(const JudgeArgs& args) = 0;

    /// gate = silu(gate) * up
    virtual void swiglu(View<float, 2> gate, View<const float, 2> up) = 0;
    /// gate = gelu(gate) * up, gelu by the tanh formula
    virtual void geglu(View<float, 2> gate, View<const float, 2> up) = 0;
    /// out [rows]: the column of each row's greatest value, the first of equal ones.
    virtual void argmax(View<const float, 2> x, std::int32_t* out) = 0;
};

}  // namespace carrel
