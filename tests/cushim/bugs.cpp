#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "compute/cuda/klaunch.h"
#include "cushim.h"

// Seeded bugs, and healthy twins of some. bugs NAME forward|reverse|random SEED: 0 when nothing noticed anything, 1
// when the result is wrong, what a detector ends the process with otherwise. find_bugs.py knows who must notice what.

namespace {

constexpr unsigned kFull = 0xffffffffu;
constexpr int kCount = 1024;
constexpr std::size_t kBytes = kCount * sizeof(float);

enum class In {
    Nothing,
    BarrierBeforeRead,
    BarrierBeforeReuse,
    ReadPastEnd,
    SharedIndex,
    UnwrittenShared,
};

__device__ float warpSum(float v) {
    for (int o = 16; o != 0; o >>= 1) v += __shfl_xor_sync(kFull, v, o);
    return v;
}

// One block of 256 adds up n values, twice where the reuse is the bug.
template <In Bug>
__global__ void blockSums(const float* x, float* y, int n) {
    KSHARED(float, part, 8);
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const int end = n + (Bug == In::ReadPastEnd && blockIdx.x == gridDim.x - 1 ? 1 : 0);
    float total = 0;
    for (int pass = 0; pass < (Bug == In::BarrierBeforeReuse ? 2 : 1); ++pass) {
        float v = 0;
        for (int i = threadIdx.x; i < end; i += 256) v += x[blockIdx.x * n + i] * (pass + 1);
        v = warpSum(v);
        if (lane == 0 && !(Bug == In::UnwrittenShared && warp == 5)) part[warp + (Bug == In::SharedIndex ? 1 : 0)] = v;
        if (Bug != In::BarrierBeforeRead) __syncthreads();
        total += warpSum(lane < 8 ? part[lane] : 0);
    }
    if (threadIdx.x == 0) y[blockIdx.x] = total;
}

template <bool Masked>
__global__ void doubled(const float* x, float* y, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (!Masked || i < n) y[i] = 2 * x[i < n ? i : 0];
}

__global__ void barrierInBranch(const float* x, float* y) {
    KSHARED(float, s, 64);
    s[threadIdx.x] = x[threadIdx.x];
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    y[threadIdx.x] = s[63 - threadIdx.x];
}
__global__ void earlyReturn(const float* x, float* y, int n) {
    KSHARED(float, s, 64);
    if (static_cast<int>(threadIdx.x) >= n) return;
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[n - 1 - threadIdx.x];
}
__global__ void shuffleInBranch(const float* x, float* y) {
    float v = x[threadIdx.x];
    if (threadIdx.x < 16) v += __shfl_xor_sync(kFull, v, 1);
    y[threadIdx.x] = v;
}
template <bool Atomic>
__global__ void addAcrossBlocks(const float* x, float* y) {
    if (threadIdx.x != 0) return;
    if (Atomic)
        atomicAdd(y, x[blockIdx.x]);
    else
        *y += x[blockIdx.x];
}
template <bool Synced>
__global__ void reversedInWarp(const float* x, float* y) {
    KSHARED(float, s, 32);
    s[threadIdx.x] = x[threadIdx.x];
    if (Synced) __syncwarp();
    y[threadIdx.x] = s[31 - threadIdx.x];
}
__global__ void sumsOfFour(const float* x, float* y, int offset) {
    const float4 v = *reinterpret_cast<const float4*>(x + offset + 4 * threadIdx.x);
    y[threadIdx.x] = v.x + v.y + v.z + v.w;
}
__global__ void dynamicIndex(const float* x, float* y) {
    KDYNSHARED(float, s);
    s[threadIdx.x + 1] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = s[32 - threadIdx.x];
}
struct Pointers {
    const float* x;
    float* y;
};
__global__ void doubledBy(Pointers p) {
    p.y[threadIdx.x] = 2 * p.x[threadIdx.x];
}
__global__ void indexOf32Bits(const float* x, float* y, int slot, int stride) {
    y[threadIdx.x] = x[(slot * stride + static_cast<int>(threadIdx.x)) & 63];
}

void expect(cudaError_t error) {
    if (error != cudaSuccess) std::exit(3);
}

// What every case works on: y is to hold `want`.
struct Desk {
    cudaStream_t stream, other;
    cudaEvent_t event;
    float *host, *result, *x, *y;  // pinned, pinned, device, device
    std::vector<float> in, want;

    Desk() : in(kCount) {
        expect(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        expect(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
        expect(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
        expect(cudaMallocHost(&host, kBytes));
        expect(cudaMallocHost(&result, kBytes));
        expect(cudaMalloc(&x, kBytes));
        expect(cudaMalloc(&y, kBytes));
        for (int i = 0; i < kCount; ++i) in[i] = host[i] = static_cast<float>(i % 37) - 11;
    }
    void wantSums(int per, float factor) {
        for (int g = 0; g < kCount / per; ++g) {
            want.push_back(0);
            for (int i = 0; i < per; ++i) want.back() += factor * in[g * per + i];
        }
    }
    template <class Of>
    void wantEach(int n, Of of) {
        for (int i = 0; i < n; ++i) want.push_back(of(i));
    }
    void wantDoubled(int n) {
        wantEach(n, [this](int i) { return 2 * in[i]; });
    }
    void upload(float* to, cudaStream_t on) { expect(cudaMemcpyAsync(to, host, kBytes, cudaMemcpyHostToDevice, on)); }
    void scale(float* to, int n) { klaunch(doubled<true>, (n + 127) / 128, 128, 0, stream, x, to, n); }
    float* device(std::size_t bytes) {
        float* p;
        expect(cudaMalloc(&p, bytes));
        return p;
    }
};

template <In Bug>
void sums(Desk& d) {
    d.wantSums(256, Bug == In::BarrierBeforeReuse ? 3 : 1);
    klaunch(blockSums<Bug>, 4, 256, 0, d.stream, d.x, d.y, 256);
}
template <bool Atomic>
void acrossBlocks(Desk& d) {
    d.wantSums(8, 1);
    d.want.resize(1);
    klaunch(addAcrossBlocks<Atomic>, 8, 32, 0, d.stream, d.x, d.y);
}
template <bool Synced>
void warpReversed(Desk& d) {
    d.wantEach(32, [&](int i) { return d.in[31 - i]; });
    klaunch(reversedInWarp<Synced>, 1, 32, 0, d.stream, d.x, d.y);
}
template <bool Waits>
void copyStream(Desk& d) {
    d.wantDoubled(kCount);
    d.upload(d.x, d.other);
    expect(cudaEventRecord(d.event, d.other));
    if (Waits) expect(cudaStreamWaitEvent(d.stream, d.event));
    d.scale(d.y, kCount);
}

void tail(Desk& d) {
    d.wantDoubled(1000);
    float* const z = d.device(4000);
    klaunch(doubled<false>, 8, 128, 0, d.stream, d.x, z, 1000);
    d.y = z;
}
void branchBarrier(Desk& d) {
    d.wantEach(64, [&](int i) { return d.in[63 - i]; });
    klaunch(barrierInBranch, 1, 64, 0, d.stream, d.x, d.y);
}
void branchShuffle(Desk& d) {
    d.wantEach(32, [&](int i) { return d.in[i] + (i < 16 ? d.in[i ^ 1] : 0); });
    klaunch(shuffleInBranch, 1, 32, 0, d.stream, d.x, d.y);
}
void returnsEarly(Desk& d) {
    d.wantEach(40, [&](int i) { return d.in[39 - i]; });
    klaunch(earlyReturn, 1, 64, 0, d.stream, d.x, d.y, 40);
}
void misaligned(Desk& d) {
    d.wantEach(8, [&](int i) { return d.in[4 * i + 1] + d.in[4 * i + 2] + d.in[4 * i + 3] + d.in[4 * i + 4]; });
    klaunch(sumsOfFour, 1, 8, 0, d.stream, d.x, d.y, 1);
}
void overflow(Desk& d) {
    d.wantEach(32, [&](int i) { return d.in[i]; });
    klaunch(indexOf32Bits, 1, 32, 0, d.stream, d.x, d.y, 65536, 65536);
}
void hostReadsDevice(Desk& d) {
    d.wantDoubled(512);
    d.scale(d.y, 512);
    expect(cudaStreamSynchronize(d.stream));
    d.host[0] = d.y[0];
}
void pageableArgument(Desk& d) {
    std::vector<float> pageable(kCount);
    klaunch(doubled<true>, 4, 128, 0, d.stream, pageable.data(), d.y, 512);
}
void longCopy(Desk& d) {
    expect(cudaMemcpyAsync(d.y, d.host, kBytes + 4, cudaMemcpyHostToDevice, d.stream));
}
void pageableCopy(Desk& d) {
    expect(cudaMemcpyAsync(d.y, d.in.data(), kBytes, cudaMemcpyHostToDevice, d.stream));
}
void unwrittenDevice(Desk& d) {
    d.wantEach(kCount, [](int) { return 0.0f; });
    klaunch(doubled<true>, 8, 128, 0, d.stream, d.device(kBytes), d.y, kCount);
}
void dynamicPastEnd(Desk& d) {
    d.wantEach(32, [&](int i) { return d.in[31 - i]; });
    klaunch(dynamicIndex, 1, 32, 32 * 4, d.stream, d.x, d.y);
}
void useAfterFree(Desk& d) {
    d.wantDoubled(32);
    float* const z = d.device(256);
    expect(cudaMemcpyAsync(z, d.host, 256, cudaMemcpyHostToDevice, d.stream));
    expect(cudaStreamSynchronize(d.stream));
    expect(cudaFree(z));
    klaunch(doubledBy, 1, 32, 0, d.stream, Pointers{z, d.y});
}
void hiddenHostPointer(Desk& d) {
    d.wantDoubled(32);
    klaunch(doubledBy, 1, 32, 0, d.stream, Pointers{d.in.data(), d.y});
    expect(cudaStreamSynchronize(d.stream));
}
void hugeBlock(Desk& d) {
    klaunch(doubled<true>, 1, 2048, 0, d.stream, d.x, d.y, kCount);
}
void refilledEarly(Desk& d) {
    d.wantDoubled(kCount);
    d.upload(d.x, d.stream);
    d.scale(d.y, kCount);
    for (int i = 0; i < kCount; ++i) d.host[i] = -1;
}
void readEarly(Desk& d) {
    d.upload(d.x, d.stream);
    d.scale(d.y, kCount);
    expect(cudaMemcpyAsync(d.result, d.y, kBytes, cudaMemcpyDeviceToHost, d.stream));
    int wrong = 0;
    for (int i = 0; i < kCount; ++i) wrong += d.result[i] == 2 * d.in[i] ? 0 : 1;
    expect(cudaDeviceSynchronize());
    std::exit(wrong != 0);
}
void slotReused(Desk& d) {
    d.wantDoubled(kCount);
    d.upload(d.x, d.stream);
    d.scale(d.y, kCount);
    for (int i = 0; i < kCount; ++i) d.result[i] = 5;
    expect(cudaMemcpyAsync(d.x, d.result, kBytes, cudaMemcpyHostToDevice, d.other));
    expect(cudaStreamSynchronize(d.other));
}

// What `enqueue` launches.
template <class Enqueue>
cudaGraphExec_t captured(Desk& d, Enqueue enqueue) {
    cudaGraph_t graph;
    cudaGraphExec_t made;
    expect(cudaStreamBeginCapture(d.stream, cudaStreamCaptureModeThreadLocal));
    enqueue();
    expect(cudaStreamEndCapture(d.stream, &graph));
    expect(cudaGraphInstantiate(&made, graph));
    expect(cudaGraphDestroy(graph));
    return made;
}
template <bool Changes>
void graphsCount(Desk& d) {
    d.wantDoubled(kCount);
    int n = Changes ? 512 : kCount;
    const cudaGraphExec_t graph = captured(d, [&] { d.scale(d.y, n); });
    n = kCount;
    expect(cudaGraphLaunch(graph, d.stream));
    expect(cudaStreamSynchronize(d.stream));
    expect(cudaGraphExecDestroy(graph));
}
void graphOfFreed(Desk& d) {
    float* const z = d.device(kBytes);
    const cudaGraphExec_t graph = captured(d, [&] { d.scale(z, kCount); });
    expect(cudaFree(z));
    expect(cudaGraphLaunch(graph, d.stream));
}
void graphDestroyedEarly(Desk& d) {
    const cudaGraphExec_t graph = captured(d, [&] { d.scale(d.y, kCount); });
    expect(cudaGraphLaunch(graph, d.stream));
    expect(cudaGraphExecDestroy(graph));
}
void waitInCapture(Desk& d) {
    captured(d, [&] { expect(cudaStreamSynchronize(d.stream)); });
}
void copyInCapture(Desk& d) {
    captured(d, [&] { d.upload(d.x, d.stream); });
}
void graphInCapture(Desk& d) {
    const cudaGraphExec_t graph = captured(d, [&] { d.scale(d.y, kCount); });
    captured(d, [&] { expect(cudaGraphLaunch(graph, d.stream)); });
}
void captureNotBegun(Desk& d) {
    cudaGraph_t graph;
    expect(cudaStreamEndCapture(d.stream, &graph));
}

struct Case {
    std::string_view name;
    void (*run)(Desk&);
    bool uploadsItself = false;
};
constexpr Case kCases[] = {
    {"healthy-sums", sums<In::Nothing>},
    {"healthy-atomic", acrossBlocks<true>},
    {"healthy-syncwarp", warpReversed<true>},
    {"healthy-event", copyStream<true>, true},
    {"healthy-graph", graphsCount<false>},
    {"barrier-before-read", sums<In::BarrierBeforeRead>},
    {"barrier-before-reuse", sums<In::BarrierBeforeReuse>},
    {"read-past-end", sums<In::ReadPastEnd>},
    {"tail-write", tail},
    {"shared-index", sums<In::SharedIndex>},
    {"barrier-in-branch", branchBarrier},
    {"shuffle-in-branch", branchShuffle},
    {"unwritten-shared", sums<In::UnwrittenShared>},
    {"blocks-without-atomics", acrossBlocks<false>},
    {"missing-syncwarp", warpReversed<false>},
    {"return-before-barrier", returnsEarly},
    {"misaligned-load", misaligned},
    {"index-overflow", overflow},
    {"host-reads-device", hostReadsDevice},
    {"pageable-argument", pageableArgument},
    {"copy-too-long", longCopy},
    {"pageable-copy", pageableCopy},
    {"unwritten-device", unwrittenDevice},
    {"dynamic-shared-index", dynamicPastEnd},
    {"no-wait-for-copy", copyStream<false>, true},
    {"staging-refilled", refilledEarly, true},
    {"result-read-early", readEarly, true},
    {"slot-reused", slotReused, true},
    {"use-after-free", useAfterFree},
    {"hidden-host-pointer", hiddenHostPointer},
    {"huge-block", hugeBlock},
    {"graph-of-old-count", graphsCount<true>},
    {"graph-of-freed", graphOfFreed},
    {"graph-destroyed-early", graphDestroyedEarly},
    {"wait-in-capture", waitInCapture},
    {"copy-in-capture", copyInCapture},
    {"graph-in-capture", graphInCapture},
    {"capture-not-begun", captureNotBegun},
};

int result(Desk& d) {
    const std::size_t n = d.want.size();
    if (n != 0) expect(cudaMemcpyAsync(d.result, d.y, n * 4, cudaMemcpyDeviceToHost, d.stream));
    expect(cudaStreamSynchronize(d.stream));
    expect(cudaDeviceSynchronize());
    int wrong = 0;
    for (std::size_t i = 0; i < n; ++i) wrong += std::fabs(d.result[i] - d.want[i]) <= 1e-3f ? 0 : 1;
    return wrong != 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 1)
        for (const Case& c : kCases) std::printf("%s\n", c.name.data());
    if (argc != 4) return argc == 1 ? 0 : 2;
    const std::string_view mode = argv[2];
    cushim::configure(mode == "random"    ? cushim::Order::Random
                      : mode == "reverse" ? cushim::Order::Reverse
                                          : cushim::Order::Forward,
                      mode == "forward" ? cushim::Streams::Eager : cushim::Streams::Lazy,
                      std::strtoull(argv[3], nullptr, 10));
    for (const Case& c : kCases) {
        if (c.name != argv[1]) continue;
        Desk desk;
        if (!c.uploadsItself) {
            desk.upload(desk.x, desk.stream);
            expect(cudaMemsetAsync(desk.y, 0, kBytes, desk.stream));
        }
        c.run(desk);
        return result(desk);
    }
    return 2;
}
