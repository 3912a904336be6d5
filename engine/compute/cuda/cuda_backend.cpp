#include "compute/cuda/cuda_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <string>
#include <unordered_set>
#include <vector>

#include "compute/cuda/arguments.h"
#include "compute/cuda/attention_plan.h"
#include "compute/cuda/cuda_weight.h"
#include "compute/cuda/judge_plan.h"
#include "compute/cuda/kv_launch.h"
#include "compute/cuda/launch.h"
#include "compute/cuda/launch_list.h"
#include "compute/cuda/scratch.h"
#include "compute/cuda/weight_stream.h"

namespace carrel::cuda {

namespace {

constexpr std::size_t kMostHeld = 16;  // rows of a product whose launch is held back
constexpr std::size_t kArgumentBytes = std::size_t{8} << 20;
constexpr std::size_t kLeftByWeights = 4;  // a quarter is for keys, values and what is computed on

ConstRows constRows(View<const float, 2> x) {
    return {x.data(), x.stride()};
}
Rows rowsOf(View<float, 2> x) {
    return {x.data(), x.stride()};
}

class CudaBackend final : public Backend {
  public:
    explicit CudaBackend(unsigned threads) : pool_(threads) {}
    ~CudaBackend() override {
        for (cudaStream_t stream : {cudaStream_t{stream_}, copyStream_})
            if (stream != nullptr) cudaStreamSynchronize(stream);
        for (const auto& marker : markers_)
            for (cudaEvent_t event : {marker.event, marker.copied}) spare_.push_back(event);
        for (cudaEvent_t event : {before_, unpacked_}) spare_.push_back(event);
        for (cudaEvent_t event : spare_)
            if (event != nullptr) cudaEventDestroy(event);
        if (copyStream_ != nullptr) cudaStreamDestroy(copyStream_);
    }
    Status open(int index) {
        cudaDeviceProp device{};
        keep(cudaSetDevice(index));
        keep(cudaGetDeviceProperties(&device, index));
        keep(stream_.open());
        if (error_ == cudaSuccess) keep(cudaStreamCreateWithFlags(&copyStream_, cudaStreamNonBlocking));
        for (cudaEvent_t* event : {&before_, &unpacked_})
            if (error_ == cudaSuccess) keep(cudaEventCreateWithFlags(event, cudaEventDisableTiming));
        for (Arguments* arguments : {&arguments_, &copyArguments_})
            if (error_ == cudaSuccess) keep(arguments->open(kArgumentBytes));
        leastFree_ = *freeDeviceBytes() / kLeftByWeights;
        name_ = std::string("cuda ") + device.name;
        processors_ = static_cast<unsigned>(device.multiProcessorCount);
        return status();
    }

    std::string name() const override { return name_; }

    Result<Buffer> allocate(std::size_t bytes, MemoryKind kind) override {
        void* data = nullptr;
        const std::size_t whole = std::max<std::size_t>(64, (bytes + 63) / 64 * 64);
        const bool host = kind == MemoryKind::Host;
        if ((host ? cudaMallocHost(&data, whole) : cudaMalloc(&data, whole)) != cudaSuccess)
            return Error{Code::NoMemory, "buffer",
                         std::to_string(bytes) + (host ? " bytes that a GPU can reach" : " bytes of GPU memory")};
        if (host) pinned_.insert(data);
        return Buffer(this, data, bytes);
    }
    void release(void* data, std::size_t) override {
        keep(cudaStreamSynchronize(stream_));
        keep(cudaStreamSynchronize(copyStream_));
        keep(pinned_.erase(data) > 0 ? cudaFreeHost(data) : cudaFree(data));
    }
    std::optional<std::uint64_t> freeDeviceBytes() const override {
        std::size_t available = 0, total = 0;
        return cudaMemGetInfo(&available, &total) == cudaSuccess ? available : 0;
    }

    Event record() override {
        const Marker marker{++sequence_, eventOn(stream_), eventOn(copyStream_)};
        markers_.push_back(marker);
        return {sequence_};
    }
    Status wait(Event event) override {
        while (!markers_.empty() && markers_.front().sequence <= event.sequence) {
            const Marker marker = markers_.front();
            markers_.pop_front();
            // The last ones of their streams say it for all before them.
            const bool last = markers_.empty() || markers_.front().sequence > event.sequence;
            for (cudaEvent_t of : {marker.event, marker.copied}) {
                if (of == nullptr) continue;
                if (last) keep(cudaEventSynchronize(of));
                spare_.push_back(of);
            }
        }
        return status();
    }

    void copy(std::span<const CopyPiece> pieces) override {
        join();
        const auto* const given = put(pieces);
        if (given == nullptr || pieces.empty()) return;
        const auto most = std::ranges::max(pieces, {}, &CopyPiece::bytes).bytes;
        keep(cuda::copy(given, pieces.size(), most, stream_));
    }
    void copyIn(void* to, std::span<const std::byte> from) override {
        join();
        for (std::size_t at = 0; at < from.size();) {
            const std::size_t bytes = std::min(from.size() - at, arguments_.pieceBytes());
            void* const piece = staged(bytes);
            if (piece == nullptr) return;
            std::memcpy(piece, from.data() + at, bytes);
            keep(cudaMemcpyAsync(static_cast<std::byte*>(to) + at, piece, bytes, cudaMemcpyDefault, stream_));
            at += bytes;
        }
    }
    void copyOut(std::span<std::byte> to, const void* from) override {
        join();
        for (std::size_t at = 0; at < to.size();) {
            const std::size_t bytes = std::min(to.size() - at, arguments_.pieceBytes());
            void* const piece = staged(bytes);
            if (piece == nullptr) return;
            keep(cudaMemcpyAsync(piece, static_cast<const std::byte*>(from) + at, bytes, cudaMemcpyDefault, stream_));
            keep(cudaStreamSynchronize(stream_));
            std::memcpy(to.data() + at, piece, bytes);
            at += bytes;
        }
    }

    using Backend::loadWeight;
    Result<std::unique_ptr<Weight>> loadWeight(DType type, std::size_t rows, std::size_t cols, std::size_t bytes,
                                               const ReadRaw& read) override {
        return CudaWeight::load(type, rows, cols, bytes, read, {pool_, arguments_, stream_, weights_, leastFree_});
    }

    void embed(const Weight& table, std::span<const std::int32_t> ids, View<float, 2> out, float scale) override {
        assert(out.size(0) == ids.size() && out.size(1) == table.cols);
        const auto* const given = put(ids);
        if (given == nullptr || ids.empty()) return;
        keep(cuda::embed({table.type, static_cast<const CudaWeight&>(table).tiles(), given, rowsOf(out),
                          static_cast<int>(ids.size()), static_cast<int>(table.cols), scale},
                         stream_));
    }

    void rmsNorm(View<const float, 2> x, const float* weight, float eps, View<float, 2> out) override {
        norm(x, weight, eps, out, false);
    }
    void addRmsNorm(View<const float, 2> x, const float* weight, float eps, View<float, 2> out) override {
        norm(x, weight, eps, out, true);
    }

    void matmul(View<const float, 2> x, std::span<const MatmulTarget> targets) override {
        const std::size_t n = x.size(0), cols = x.size(1);
        if (n == 0) return;
        QuantizedRows quantized{};
        const auto rounds = [](const MatmulTarget& target) { return !isFloat(target.weight->type); };
        if (std::ranges::any_of(targets, rounds)) {
            const std::size_t blocks = n * (cols / 32);
            using Factors = QuantizedRows::Factors;
            auto* const memory = static_cast<std::byte*>(quantized_.need(blocks * (32 + sizeof(Factors)), stream_));
            if (memory == nullptr) return keep(cudaErrorMemoryAllocation);
            quantized = {reinterpret_cast<std::int8_t*>(memory), reinterpret_cast<Factors*>(memory + blocks * 32)};
            keep(quantize(constRows(x), quantized, static_cast<int>(n), static_cast<int>(cols),
                          stream_.holding(n <= kMostHeld)));
        }
        for (const MatmulTarget& target : targets) {
            const Weight& weight = *target.weight;
            assert(weight.cols == cols && target.out.size(0) == n && target.out.size(1) == weight.rows);
            const auto& packed = static_cast<const CudaWeight&>(weight);
            const Product whole{packed.tiles(),
                                constRows(x),
                                quantized,
                                target.bias,
                                rowsOf(target.out),
                                static_cast<int>(n),
                                static_cast<int>(weight.rows),
                                static_cast<int>(cols),
                                target.accumulate ? 1 : 0};
            if (packed.isStreamed())
                multiplyPieces(packed, whole);
            else
                keep(cuda::matmul(weight.type, whole, stream_.holding(n <= kMostHeld)));
        }
    }

    void rope(View<float, 3> x, std::span<const std::uint32_t> position, std::span<const float> invFreq,
              RopeStyle style) override {
        assert(position.size() == x.size(0) && invFreq.size() * 2 == x.size(2));
        if (position.empty() || !angles(position, invFreq)) return;
        keep(cuda::rope({x.data(), x.stride()}, static_cast<const float*>(angleMemory_), static_cast<int>(x.size(0)),
                        static_cast<int>(x.size(1)), static_cast<int>(invFreq.size()), style == RopeStyle::Neox,
                        stream_.holding()));
    }

    void storeF16(View<const float, 2> x, std::span<std::uint16_t* const> rows) override {
        assert(rows.size() == x.size(0));
        auto* const given = put(rows);
        if (given == nullptr || rows.empty()) return;
        keep(cuda::storeF16(constRows(x), given, static_cast<int>(x.size(0)), static_cast<int>(x.size(1)), stream_));
    }

    void swiglu(View<float, 2> gate, View<const float, 2> up) override { glu(Gate::Silu, gate, up); }
    void geglu(View<float, 2> gate, View<const float, 2> up) override { glu(Gate::Gelu, gate, up); }

    void argmax(View<const float, 2> x, std::int32_t* out) override {
        if (x.size(0) > 0)
            keep(cuda::argmax(constRows(x), static_cast<int>(x.size(0)), static_cast<int>(x.size(1)), out, stream_));
    }

    void attend(const AttendArgs& args) override {
        join();
        if (args.pass == AttendPass::There) {
            keep(cudaEventRecord(before_, stream_));
            there_ = true;
        }
        keep(attention_.run(args, processors_, arguments_, stream_));
    }
    void encode(KvCodec codec, std::size_t headDim, std::span<const EncodeGroup> groups) override {
        join();
        const auto* const given = put(groups);
        if (given == nullptr || groups.empty()) return;
        keep(cuda::encode(codec, static_cast<std::uint32_t>(headDim), given, groups.size(), stream_));
        std::vector<GroupMeans> after;
        for (const EncodeGroup& group : groups) after.push_back({group.payload, group.codes, group.means});
        means(codec, headDim, after);
    }
    void unpack(KvCodec codec, std::size_t headDim, std::span<const UnpackLeaf> leaves) override {
        const auto* const given = copyArguments_.put(leaves, copyStream_);
        if (given == nullptr || leaves.empty()) return;
        if (!there_) keep(cudaEventRecord(before_, stream_));
        keep(cudaStreamWaitEvent(copyStream_, before_));
        keep(cuda::unpack(codec, static_cast<std::uint32_t>(headDim), given, leaves.size(), copyStream_));
        keep(cudaEventRecord(unpacked_, copyStream_));
        unpacking_ = true;
    }
    void means(KvCodec codec, std::size_t headDim, std::span<const GroupMeans> groups) override {
        join();
        const auto* const given = put(groups);
        if (given == nullptr || groups.empty()) return;
        keep(cuda::means(codec, static_cast<std::uint32_t>(headDim), given, groups.size(), stream_));
    }
    void judge(const JudgeArgs& args) override { keep(judgement_.run(args, arguments_, stream_)); }

  private:
    struct Marker {
        std::uint64_t sequence;
        cudaEvent_t event, copied;  // of the two streams
    };

    void keep(cudaError_t error) {
        if (error_ == cudaSuccess) error_ = error;
    }
    Status status() const {
        for (const cudaError_t error : {error_, stream_.error(), arguments_.error(), copyArguments_.error()}) {
            if (error == cudaErrorMemoryAllocation) return Error{Code::NoMemory, "CUDA", cudaGetErrorString(error)};
            if (error != cudaSuccess) return Error{Code::Internal, "CUDA", cudaGetErrorString(error)};
        }
        return {};
    }
    cudaEvent_t eventOn(cudaStream_t stream) {
        cudaEvent_t event = nullptr;
        if (spare_.empty()) {
            keep(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
        } else {
            event = spare_.back();
            spare_.pop_back();
        }
        if (event != nullptr) keep(cudaEventRecord(event, stream));
        return event;
    }
    /// What reads or overwrites unpacked rows, or writes what they come from, is not done beside unpack().
    void join() {
        if (unpacking_) keep(cudaStreamWaitEvent(stream_, unpacked_));
        unpacking_ = there_ = false;
    }
    template <class T>
    T* put(std::span<T> values) {
        return arguments_.put(values, stream_);
    }
    void* staged(std::size_t bytes) { return arguments_.stage(bytes, stream_); }

    void multiplyPieces(const CudaWeight& weight, const Product& whole) {
        const std::size_t tiles = tilesOf(weight.rows), each = WeightStream::tilesAPiece(weight);
        for (std::size_t first = 0; first < tiles; first += each) {
            const WeightStream::Piece piece{&weight, first, std::min(each, tiles - first)};
            const std::size_t row = first * kTileRows;
            Product part = whole;
            part.tiles = weights_.get(piece, stream_);
            if (part.tiles == nullptr) return keep(weights_.error());
            part.rows = static_cast<int>(std::min(piece.count * kTileRows, weight.rows - row));
            part.out.data += row;
            if (part.bias != nullptr) part.bias += row;
            keep(cuda::matmul(weight.type, part, stream_.holding(static_cast<std::size_t>(part.n) <= kMostHeld)));
        }
    }
    void norm(View<const float, 2> x, const float* weight, float eps, View<float, 2> out, bool add) {
        assert(x.size(0) == out.size(0) && x.size(1) == out.size(1));
        if (x.size(0) == 0) return;
        keep(cuda::rmsNorm(constRows(x), weight, eps, rowsOf(out), static_cast<int>(x.size(0)),
                           static_cast<int>(x.size(1)), add, stream_.holding()));
    }
    void glu(Gate kind, View<float, 2> gate, View<const float, 2> up) {
        assert(gate.size(0) == up.size(0) && gate.size(1) == up.size(1));
        if (gate.size(0) == 0) return;
        keep(cuda::gate(kind, rowsOf(gate), constRows(up), static_cast<int>(gate.size(0)),
                        static_cast<int>(gate.size(1)), stream_.holding()));
    }

    /// q and k of every layer turn by the same angles: they go to the device once a batch. From the host, whose sine
    /// and cosine do not depend on the GPU.
    bool angles(std::span<const std::uint32_t> position, std::span<const float> invFreq) {
        if (std::ranges::equal(position, position_) && std::ranges::equal(invFreq, invFreq_)) return true;
        position_.assign(position.begin(), position.end());
        invFreq_.assign(invFreq.begin(), invFreq.end());
        const std::size_t half = invFreq.size();
        std::vector<float> table(2 * position.size() * half);
        for (std::size_t t = 0; t < position.size(); ++t)
            for (std::size_t j = 0; j < half; ++j) {
                const double angle = static_cast<double>(position[t]) * static_cast<double>(invFreq[j]);
                table[2 * t * half + j] = static_cast<float>(std::cos(angle));
                table[(2 * t + 1) * half + j] = static_cast<float>(std::sin(angle));
            }
        angleMemory_ = angleScratch_.need(table.size() * sizeof(float), stream_);
        if (angleMemory_ == nullptr) {
            keep(cudaErrorMemoryAllocation);
            position_.clear();
            return false;
        }
        copyIn(angleMemory_, std::as_bytes(std::span(table)));
        return true;
    }

    ThreadPool pool_;
    LaunchList stream_;
    cudaStream_t copyStream_ = nullptr;  // unpack() has it
    cudaEvent_t before_ = nullptr;       // on the first: what unpack() comes after
    cudaEvent_t unpacked_ = nullptr;     // on the second: the last unpack()
    bool unpacking_ = false, there_ = false;
    Arguments arguments_, copyArguments_;
    WeightStream weights_;
    std::size_t leastFree_ = 0;  // of device memory, beside weights
    Scratch quantized_, angleScratch_;
    Attention attention_;
    unsigned processors_ = 1;
    Judgement judgement_;
    void* angleMemory_ = nullptr;
    std::vector<std::uint32_t> position_;
    std::vector<float> invFreq_;
    std::deque<Marker> markers_;
    std::vector<cudaEvent_t> spare_;
    std::unordered_set<void*> pinned_;
    std::uint64_t sequence_ = 0;
    cudaError_t error_ = cudaSuccess;
    std::string name_;
};

}  // namespace

Result<std::unique_ptr<Backend>> makeCudaBackend(int device, unsigned threads) {
    auto backend = std::make_unique<CudaBackend>(threads);
    if (const auto opened = backend->open(device); !opened) return opened.error();
    return std::unique_ptr<Backend>(std::move(backend));
}

}  // namespace carrel::cuda
