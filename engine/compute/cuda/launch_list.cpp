#include "compute/cuda/launch_list.h"

#include <algorithm>
#include <cstring>

namespace carrel::cuda {

namespace {

std::uint64_t hashOf(const std::vector<std::byte>& words) {  // FNV-1a, of words
    std::uint64_t hash = 14695981039346656037u, word;
    for (std::size_t at = 0; at < words.size(); at += sizeof word) {
        std::memcpy(&word, words.data() + at, sizeof word);
        hash = (hash ^ word) * 1099511628211u;
    }
    return hash;
}

}  // namespace

LaunchList::~LaunchList() {
    if (stream_ == nullptr) return;
    cudaStreamSynchronize(stream_);
    for (Known& known : known_) forget(known);
    cudaStreamDestroy(stream_);
}

cudaError_t LaunchList::open() {
    return cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
}

std::byte* LaunchList::hold(const HeldLaunch& launch) {
    if (count_ == kMostHeld) flush();
    ++count_;
    const std::size_t at = held_.size();
    held_.resize(at + sizeof launch + launch.argumentBytes);
    std::memcpy(held_.data() + at, &launch, sizeof launch);
    return held_.data() + at + sizeof launch;
}

void LaunchList::flush() {
    if (count_ == 0) return;
    const cudaError_t error = launch();
    if (error_ == cudaSuccess) error_ = error;
    held_.clear();
    count_ = 0;
}

cudaError_t LaunchList::launch() {
    if (count_ == 1) return launchEach();  // a graph would be no fewer calls
    const std::uint64_t hash = hashOf(held_);
    Known* const before = known(hash);
    if (before == nullptr) {
        remember(hash);
        return launchEach();
    }
    before->lastUse = ++uses_;
    if (!before->tried) before->graph = capture();
    before->tried = true;
    return before->graph != nullptr ? cudaGraphLaunch(before->graph, stream_) : launchEach();
}

cudaError_t LaunchList::launchEach() {
    cudaError_t error = cudaSuccess;
    for (const std::byte* at = held_.data(); at < held_.data() + held_.size() && error == cudaSuccess;) {
        HeldLaunch held;
        std::memcpy(&held, at, sizeof held);
        error = held.launch(held, at + sizeof held, stream_);
        at += sizeof held + held.argumentBytes;
    }
    return error;
}

/// Null where CUDA makes none, which is no error: they are then launched one by one.
cudaGraphExec_t LaunchList::capture() {
    // Of this thread alone: others may allocate meanwhile.
    if (cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal) != cudaSuccess) return nullptr;
    const cudaError_t launched = launchEach();
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t made = nullptr;
    const cudaError_t ended = cudaStreamEndCapture(stream_, &graph);
    if (launched == cudaSuccess && ended == cudaSuccess && cudaGraphInstantiate(&made, graph, 0) != cudaSuccess)
        made = nullptr;
    if (graph != nullptr) cudaGraphDestroy(graph);
    if (made == nullptr) cudaGetLastError();  // or a later call would report it
    return made;
}

LaunchList::Known* LaunchList::known(std::uint64_t hash) {
    const auto it = std::ranges::find_if(known_, [&](const Known& k) { return k.hash == hash && k.launches == held_; });
    return it == known_.end() ? nullptr : &*it;
}

void LaunchList::remember(std::uint64_t hash) {
    if (known_.size() < kMostKnown) known_.emplace_back();  // used the longest ago
    Known& place = *std::ranges::min_element(known_, {}, &Known::lastUse);
    forget(place);
    place = {hash, ++uses_, held_};
}

void LaunchList::forget(Known& known) {
    if (known.graph == nullptr) return;
    cudaStreamSynchronize(stream_);  // it may be running
    cudaGraphExecDestroy(known.graph);
    known.graph = nullptr;
}

}  // namespace carrel::cuda
