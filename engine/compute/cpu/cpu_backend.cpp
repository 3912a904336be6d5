#include "compute/cpu/cpu_backend.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "compute/cpu/attention_plan.h"
#include "compute/cpu/judge_plan.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/kv_codec.h"
#include "compute/cpu/matmul_plan.h"
#include "compute/cpu/pages.h"

namespace carrel {

namespace {

constexpr std::size_t kMapped = std::size_t{64} << 10;  // buffers from this size on are mappings of their own

// A dispatch to the pool costs a microsecond or two: what one thread does in less stays on it.
constexpr std::size_t kSerialElements = 16384;

/// cos and sin of a batch's positions. q and k of every layer turn by the same angles, so they are computed once a
/// batch.
class Angles {
  public:
    void prepare(std::span<const std::uint32_t> position, std::span<const float> invFreq, ThreadPool& pool) {
        if (std::ranges::equal(position, position_) && std::ranges::equal(invFreq, invFreq_)) return;
        position_.assign(position.begin(), position.end());
        invFreq_.assign(invFreq.begin(), invFreq.end());
        table_.resize(2 * position.size() * invFreq.size());
        const auto row = [this](std::size_t t) {
            float* out = table_.data() + 2 * t * invFreq_.size();
            for (std::size_t j = 0; j < invFreq_.size(); ++j) {
                const double angle = static_cast<double>(position_[t]) * static_cast<double>(invFreq_[j]);
                out[j] = static_cast<float>(std::cos(angle));
                out[invFreq_.size() + j] = static_cast<float>(std::sin(angle));
            }
        };
        if (position.size() < 8)
            for (std::size_t t = 0; t < position.size(); ++t) row(t);
        else
            pool.parallelFor(position.size(), row);
    }
    const float* cosine(std::size_t t) const { return table_.data() + 2 * t * invFreq_.size(); }
    const float* sine(std::size_t t) const { return cosine(t) + invFreq_.size(); }

  private:
    std::vector<std::uint32_t> position_;
    std::vector<float> invFreq_, table_;
};

class CpuBackend final : public Backend {
  public:
    CpuBackend(Isa isa, unsigned threads)
        : isa_(isa),
          pool_(threads),
          matmul_(isa, pool_),
          attention_(isa, pool_),
          codecs_(isa, pool_),
          judgement_(isa, pool_) {}

    std::string name() const override {
        static constexpr const char* kNames[] = {"scalar", "avx2", "avx512"};
        return std::string("cpu ") + kNames[static_cast<int>(isa_)] + ", " + std::to_string(pool_.size()) +
               (pool_.size() == 1 ? " thread" : " threads");
    }

    Result<Buffer> allocate(std::size_t bytes, MemoryKind) override {
        void* const data = bytes >= kMapped ? mapPages(bytes)
                                            : std::aligned_alloc(64, std::max<std::size_t>(64, (bytes + 63) / 64 * 64));
        if (data == nullptr) return Error{Code::NoMemory, "buffer", std::to_string(bytes) + " bytes"};
        return Buffer(this, data, bytes);
    }
    void release(void* data, std::size_t bytes) override {
        if (bytes >= kMapped)
            unmapPages(data, bytes);
        else
            std::free(data);
    }
    Event record() override { return {++sequence_}; }
    Status wait(Event) override { return {}; }
    void copy(std::span<const CopyPiece> pieces) override {
        for (const CopyPiece& piece : pieces)
            if (piece.from != nullptr)
                std::memcpy(piece.to, piece.from, piece.bytes);
            else
                std::memset(piece.to, 0, piece.bytes);
    }
    void copyIn(void* to, std::span<const std::byte> from) override {
        if (!from.empty()) std::memcpy(to, from.data(), from.size());
    }
    void copyOut(std::span<std::byte> to, const void* from) override {
        if (!to.empty()) std::memcpy(to.data(), from, to.size());
    }

    using Backend::loadWeight;
    Result<std::unique_ptr<Weight>> loadWeight(DType type, std::size_t rows, std::size_t cols, std::size_t bytes,
                                               const ReadRaw& read) override {
        return PackedWeight::load(type, rows, cols, bytes, read, weights_, pool_);
    }

    void embed(const Weight& table, std::span<const std::int32_t> ids, View<float, 2> out, float scale) override {
        assert(out.size(0) == ids.size() && out.size(1) == table.cols);
        const auto& packed = static_cast<const PackedWeight&>(table);
        forRows(ids.size(), table.cols, [&](std::size_t i) {
            packed.row(static_cast<std::size_t>(ids[i]), out.row(i));
            if (scale != 1)
                for (std::size_t d = 0; d < table.cols; ++d) out.row(i)[d] *= scale;
        });
    }

    void rmsNorm(View<const float, 2> x, const float* weight, float eps, View<float, 2> out) override {
        assert(x.size(0) == out.size(0) && x.size(1) == out.size(1));
        const auto norm = kNorm.at(isa_);
        forRows(x.size(0), x.size(1), [&](std::size_t i) { norm(x.row(i), weight, eps, x.size(1), out.row(i)); });
    }

    void addRmsNorm(View<const float, 2> x, const float* weight, float eps, View<float, 2> out) override {
        assert(x.size(0) == out.size(0) && x.size(1) == out.size(1));
        const auto norm = kAddNorm.at(isa_);
        forRows(x.size(0), x.size(1), [&](std::size_t i) { norm(x.row(i), weight, eps, x.size(1), out.row(i)); });
    }

    void matmul(View<const float, 2> x, std::span<const MatmulTarget> targets) override { matmul_.run(x, targets); }

    void rope(View<float, 3> x, std::span<const std::uint32_t> position, std::span<const float> invFreq,
              RopeStyle style) override {
        const std::size_t heads = x.size(1), headDim = x.size(2);
        assert(position.size() == x.size(0) && invFreq.size() * 2 == headDim);
        angles_.prepare(position, invFreq, pool_);
        const auto turn = kRope.at(isa_);
        forRows(x.size(0), heads * headDim, [&](std::size_t t) {
            for (std::size_t h = 0; h < heads; ++h)
                turn(x.row(t) + h * headDim, angles_.cosine(t), angles_.sine(t), headDim / 2, style == RopeStyle::Neox);
        });
    }

    void storeF16(View<const float, 2> x, std::span<std::uint16_t* const> rows) override {
        assert(rows.size() == x.size(0));
        const auto convert = kToF16.at(isa_);
        forRows(x.size(0), x.size(1), [&](std::size_t i) { convert(x.row(i), x.size(1), rows[i]); });
    }

    void attend(const AttendArgs& args) override { attention_.run(args); }
    void encode(KvCodec codec, std::size_t headDim, std::span<const EncodeGroup> groups) override {
        codecs_.encode(codec, headDim, groups);
    }
    void unpack(KvCodec codec, std::size_t headDim, std::span<const UnpackLeaf> leaves) override {
        codecs_.unpack(codec, headDim, leaves);
    }
    void means(KvCodec codec, std::size_t headDim, std::span<const GroupMeans> groups) override {
        codecs_.means(codec, headDim, groups);
    }
    void judge(const JudgeArgs& args) override { judgement_.run(args); }

    void argmax(View<const float, 2> x, std::int32_t* out) override {
        forRows(x.size(0), x.size(1), [&](std::size_t i) {
            const float* const row = x.row(i);
            out[i] = static_cast<std::int32_t>(std::max_element(row, row + x.size(1)) - row);
        });
    }
    void swiglu(View<float, 2> gate, View<const float, 2> up) override { glu(kSwiglu.at(isa_), gate, up); }
    void geglu(View<float, 2> gate, View<const float, 2> up) override { glu(kGeglu.at(isa_), gate, up); }

  private:
    void glu(GluFn kernel, View<float, 2> gate, View<const float, 2> up) {
        assert(gate.size(0) == up.size(0) && gate.size(1) == up.size(1));
        forRows(gate.size(0), gate.size(1), [&](std::size_t i) { kernel(gate.row(i), up.row(i), gate.size(1)); });
    }
    /// Rows of `elements` each, several a dispatched item: threads that take them one by one meet at the counter.
    template <class Work>
    void forRows(std::size_t rows, std::size_t elements, const Work& work) {
        if (rows * elements <= kSerialElements) {
            for (std::size_t i = 0; i < rows; ++i) work(i);
            return;
        }
        const std::size_t perItem = std::max<std::size_t>(1, kSerialElements / elements);
        pool_.parallelFor((rows + perItem - 1) / perItem, [&](std::size_t item) {
            for (std::size_t i = item * perItem; i < std::min(rows, (item + 1) * perItem); ++i) work(i);
        });
    }

    Isa isa_;
    ThreadPool pool_;
    WeightMemory weights_;
    Matmul matmul_;
    Attention attention_;
    KvCodecs codecs_;
    Judgement judgement_;
    Angles angles_;
    std::uint64_t sequence_ = 0;
};

}  // namespace

std::unique_ptr<Backend> makeCpuBackendWith(Isa isa, unsigned threads) {
    return std::make_unique<CpuBackend>(isa, threads);
}

}  // namespace carrel
