#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "engine.h"

// Streams as queues, events between them, and graphs of kernels.

namespace cushim {

namespace {

enum class Kind : std::uint8_t { Kernel, Copy, Fill, Record, Wait };

struct Op {
    Kind kind;
    dim3 grid{}, block{};
    Running kernel{};
    void* to = nullptr;
    const void* from = nullptr;
    std::size_t bytes = 0;
    int value = 0;
    Event* event = nullptr;
    std::uint64_t generation = 0;
    GraphExec* graph = nullptr;                   // whose kernel it is
    char posted = 0, launched = 0, finished = 0;  // addresses of happens-before edges
};

}  // namespace

struct Event {
    std::uint64_t enqueued = 0, done = 0;
    Stream* on = nullptr;
    char sync = 0;
};
struct Kernels {
    std::vector<Op> all;
    ~Kernels() {
        for (const Op& op : all) op.kernel.task.drop(op.kernel.task.of);
    }
};
struct Graph {
    std::shared_ptr<Kernels> kernels = std::make_shared<Kernels>();
};
struct GraphExec {
    std::shared_ptr<Kernels> kernels;
    std::size_t pending = 0;
};
struct Stream {
    std::deque<Op*> queue;
    Graph* capture = nullptr;
    void* tsan = nullptr;
    char done = 0;
};

namespace {

std::vector<Stream*>& streams() {
    static auto* const all = new std::vector<Stream*>;
    return *all;
}

std::set<const void*>& graphs() {  // of both kinds
    static auto* const all = new std::set<const void*>;
    return *all;
}
void needGraph(const char* call, const void* graph) {
    if (!graphs().contains(graph)) fail("%s: there is no such graph", call);
}

bool runnable(const Stream* s) {
    return !s->queue.empty() &&
           !(s->queue.front()->kind == Kind::Wait && s->queue.front()->event->done < s->queue.front()->generation);
}

void execute(Stream* s) {
    Op* const op = s->queue.front();
    s->queue.pop_front();
    void* const host = hostFiber();
    switchTo(s->tsan);
    acquire(&op->posted);
    devicePhase(true);
    switch (op->kind) {
        case Kind::Kernel:
            op->kernel.streamFiber = s->tsan;
            op->kernel.launched = &op->launched;
            op->kernel.finished = &op->finished;
            release(&op->launched);
            runKernel(op->kernel, op->grid, op->block);
            acquire(&op->finished);
            if (op->graph != nullptr)
                --op->graph->pending;
            else
                op->kernel.task.drop(op->kernel.task.of);
            break;
        case Kind::Copy:
            std::memmove(op->to, op->from, op->bytes);
            ++stats().copies;
            stats().copiedBytes += op->bytes;
            break;
        case Kind::Fill:
            std::memset(op->to, op->value, op->bytes);
            break;
        case Kind::Record:
            op->event->done = op->generation;
            release(&op->event->sync);
            break;
        case Kind::Wait:
            acquire(&op->event->sync);
            break;
    }
    devicePhase(false);
    delete op;
    switchTo(host);
}

// Runs one operation that brings s nearer to empty.
void stepTowards(Stream* s, int depth = 0) {
    if (depth > 64) fail("streams wait for each other");
    if (runnable(s)) return execute(s);
    if (s->queue.empty()) fail("a stream waits for an event whose record was never reached");
    stepTowards(s->queue.front()->event->on, depth + 1);
}

void othersRunAhead() {
    if (!lazy()) return;
    for (std::uint64_t k = random() % 4; k != 0; --k)
        if (Stream* s = streams()[random() % streams().size()]; runnable(s)) execute(s);
}

void drain(Stream* s) {
    while (!s->queue.empty()) {
        othersRunAhead();
        if (!s->queue.empty()) stepTowards(s);
    }
    void* const host = hostFiber();
    switchTo(s->tsan);
    release(&s->done);
    switchTo(host);
    acquire(&s->done);
}

cudaError_t post(Stream* s, const Op& op) {
    if (s == nullptr) fail("the legacy default stream is not allowed here: pass a stream");
    if (s->capture != nullptr) {
        if (op.kind != Kind::Kernel || op.graph != nullptr) fail("a capture takes kernels alone here");
        s->capture->kernels->all.push_back(op);
        return cudaSuccess;
    }
    Op* const queued = new Op(op);
    release(&queued->posted);
    s->queue.push_back(queued);
    if (lazy()) {
        if (random() % 8 == 0) othersRunAhead();
    } else {
        while (runnable(s)) execute(s);
    }
    return cudaSuccess;
}

}  // namespace

void drainAll() {
    notInCapture("a call that waits");
    for (Stream* s : streams()) drain(s);
}

void notInCapture(const char* call) {
    for (const Stream* s : streams())
        if (s->capture != nullptr) fail("%s while a stream is capturing", call);
}

int launch(const char* from, dim3 grid, dim3 block, std::size_t sharedBytes, Stream* stream, Task task) {
    if (std::getenv("CUSHIM_FAIL") != nullptr) {  // a device that failed
        task.drop(task.of);
        return cudaErrorLaunchFailure;
    }
    const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
    if (threads == 0 || threads > kMaxThreads)
        fail("launch from %s: block of %llu threads", from, static_cast<unsigned long long>(threads));
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
        fail("launch from %s: grid %u,%u,%u", from, grid.x, grid.y, grid.z);
    if (sharedBytes > 48 * 1024)
        fail("launch from %s: %zu bytes of dynamic shared memory need an opt-in attribute", from, sharedBytes);
    task.check(task.of);
    if (stream == nullptr || stream->capture == nullptr) ++stats().launchCalls;
    Op op{Kind::Kernel};
    op.grid = grid;
    op.block = block;
    op.kernel.from = from;
    op.kernel.sharedBytes = sharedBytes;
    op.kernel.task = task;
    return post(stream, op);
}

}  // namespace cushim

using namespace cushim;

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    const auto need = [kind](bool pinned) {
        return kind == cudaMemcpyDefault ? Need::Either : pinned ? Need::Pinned : Need::Device;
    };
    needMemory("async copy's destination", to, bytes, need(kind == cudaMemcpyDeviceToHost));
    needMemory("async copy's source", from, bytes, need(kind == cudaMemcpyHostToDevice));
    Op op{Kind::Copy};
    op.to = to;
    op.from = from;
    op.bytes = bytes;
    return post(stream, op);
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
    needMemory("memset", to, bytes, Need::Device);
    Op op{Kind::Fill};
    op.to = to;
    op.value = value;
    op.bytes = bytes;
    return post(stream, op);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    if (flags != cudaStreamNonBlocking) fail("streams of this project are created non-blocking");
    *stream = new Stream;
    (*stream)->tsan = newFiber();
    streams().push_back(*stream);
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    notInCapture("cudaStreamDestroy");
    drain(stream);
    std::erase(streams(), stream);
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    if (stream->capture != nullptr) fail("cudaStreamSynchronize on a stream that is capturing");
    drain(stream);
    return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
    if (stream->capture != nullptr) fail("cudaStreamQuery on a stream that is capturing");
    if (!stream->queue.empty()) stepTowards(stream);
    return stream->queue.empty() ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    Op op{Kind::Wait};
    op.event = event;
    op.generation = event->enqueued;
    return post(stream, op);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    *event = new Event;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    Op op{Kind::Record};
    op.event = event;
    op.generation = ++event->enqueued;
    event->on = stream;
    return post(stream, op);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    while (event->done < event->enqueued) {
        othersRunAhead();
        if (event->done < event->enqueued) stepTowards(event->on);
    }
    acquire(&event->sync);
    return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
    if (event->done < event->enqueued) stepTowards(event->on);
    if (event->done < event->enqueued) return cudaErrorNotReady;
    acquire(&event->sync);
    return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
    drainAll();
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
    if (mode != cudaStreamCaptureModeThreadLocal) fail("captures of this project are of their thread alone");
    if (stream->capture != nullptr) fail("a capture begins on a stream that is capturing");
    stream->capture = new Graph;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    if (stream->capture == nullptr) fail("a capture ends that has not begun");
    *graph = std::exchange(stream->capture, nullptr);
    graphs().insert(*graph);
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
    needGraph("cudaGraphInstantiate", graph);
    *made = new GraphExec{graph->kernels};
    graphs().insert(*made);
    ++stats().graphs;
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    needGraph("cudaGraphLaunch", graph);
    if (stream->capture != nullptr) fail("a graph is launched on a stream that is capturing");
    ++stats().launchCalls;
    for (Op op : graph->kernels->all) {
        op.kernel.task.check(op.kernel.task.of);
        op.graph = graph;
        ++graph->pending;
        post(stream, op);
    }
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    needGraph("cudaGraphDestroy", graph);
    graphs().erase(graph);
    delete graph;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    needGraph("cudaGraphExecDestroy", graph);
    if (graph->pending != 0) fail("a graph is destroyed before it has run");
    graphs().erase(graph);
    --stats().graphs;
    delete graph;
    return cudaSuccess;
}
