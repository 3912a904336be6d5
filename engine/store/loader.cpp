#include "store/loader.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>

namespace carrel {

namespace {

constexpr unsigned kThreads = 4;  // reads in flight

/// work(i) for every i below count, on a few threads.
template <class Work>
void onThreads(std::size_t count, const Work& work) {
    std::atomic<std::size_t> next{0};
    const auto run = [&] {
        for (std::size_t i; (i = next++) < count;) work(i);
    };
    std::vector<std::thread> helpers;
    try {
        while (helpers.size() + 1 < std::min<std::size_t>(kThreads, count)) helpers.emplace_back(run);
    } catch (const std::system_error&) {  // no more threads: this one does what is left
    }
    run();
    for (auto& helper : helpers) helper.join();
}

void lower(std::atomic<std::uint32_t>& least, std::uint32_t value) {
    for (std::uint32_t seen = least; value < seen && !least.compare_exchange_weak(seen, value);) {
    }
}

}  // namespace

Loader::Sizes Loader::sizes(std::uint32_t tokens, std::size_t layers) const {
    const std::size_t rows = (layers == 0 ? shape_.layers : layers) * shape_.kvHeads;
    if (codec_ == KvCodec::F16) return {rows * groupsOf(tokens) * shape_.groupBytes(), 0, 0};
    const std::size_t whole = rows * (tokens / kGroupTokens);
    return {whole * shape_.groupBytes(codec_), whole * codesBytes(shape_.headDim),
            tokens % kGroupTokens == 0 ? 0 : rows * shape_.groupBytes()};
}

SketchPlace Loader::sketchOf(const FoundBatch& batch) const {
    const auto& h = batch.stored->header;
    return {h.sketchOffset, h.sketchBytes, h.sketchChecksum, streamHash_, h.first, h.tokens / kGroupTokens};
}

std::uint32_t Loader::load(std::span<const FoundBatch> batches, std::span<const KvMemory> memory,
                           std::uint32_t end) const {
    const std::size_t perBatch = std::size_t{shape_.layers} + 1;  // tasks: the sketch, then the layers
    std::atomic<std::uint32_t> bad{end};
    onThreads(batches.size() * perBatch, [&](std::size_t i) {
        const auto& batch = batches[i / perBatch];
        if (batch.row->first >= bad) return;
        const auto& into = memory[i / perBatch];
        const auto task = static_cast<std::uint32_t>(i % perBatch);
        const std::uint32_t good = task == 0 ? loadSketch(batch, into) : loadLayer(batch, into, task - 1);
        if (good >= groupsOf(batch.row->tokens)) return;
        lower(bad, batch.row->first + good * kGroupTokens);
    });
    return bad;
}

/// Groups from the first one on that are good: all or none, a record has one checksum.
std::uint32_t Loader::loadSketch(const FoundBatch& batch, const KvMemory& memory) const {
    if (!batch.stored) return 0;
    const std::uint32_t all = groupsOf(batch.row->tokens);
    if (memory.codes.empty()) return all;
    const std::uint32_t groups = batch.row->tokens / kGroupTokens;
    if (!batch.sketch) return 0;
    if (memory.layers.empty())
        return readSketch(*batch.sketch, sketchOf(batch), shape_, groups, memory.codes) ? all : 0;
    // One record, one checksum.
    const std::size_t layerBytes = memory.codes.size() / memory.layers.size();
    std::vector<std::byte> codes(shape_.layers * layerBytes);
    if (!readSketch(*batch.sketch, sketchOf(batch), shape_, groups, codes)) return 0;
    for (std::size_t i = 0; i < memory.layers.size(); ++i)
        std::copy_n(codes.data() + memory.layers[i] * layerBytes, layerBytes, memory.codes.data() + i * layerBytes);
    return all;
}

/// Groups from the first one on that are good in every head.
std::uint32_t Loader::loadLayer(const FoundBatch& batch, const KvMemory& memory, std::uint32_t layer) const {
    const std::uint32_t visible = groupsOf(batch.row->tokens), stored = groupsOf(batch.row->storedTokens);
    if (memory.payload.empty() && memory.unfinished.empty()) return visible;
    const auto asked = std::ranges::find(memory.layers, layer);
    if (!memory.layers.empty() && asked == memory.layers.end()) return visible;
    const auto index = memory.layers.empty() ? layer : static_cast<std::size_t>(asked - memory.layers.begin());
    if (!batch.stored) return 0;
    const auto places = readPlaces(*batch.segment, batch.row->offset, *batch.stored, shape_, codec_, layer);
    if (!places) return 0;
    const Extent extent{streamHash_, codec_, layer, batch.row->first, batch.row->storedTokens};
    const std::uint32_t inPayload = codec_ == KvCodec::F16 ? visible : batch.row->tokens / kGroupTokens;
    const auto group = [&](std::size_t i) { return static_cast<std::uint32_t>(i % stored); };
    Decompressor zstd;
    std::uint32_t good = visible;
    readGroups(
        *batch.segment, batch.row->offset, *places,
        [&](std::size_t i) {
            return group(i) < visible && !(group(i) < inPayload ? memory.payload : memory.unfinished).empty();
        },
        [&](std::size_t i, std::span<const std::byte> bytes) {
            const std::size_t row = index * shape_.kvHeads + i / stored;
            const std::size_t size = shape_.groupBytes(extent.codecOf(group(i)));
            const auto into = group(i) < inPayload ? memory.payload.subspan((row * inPayload + group(i)) * size, size)
                                                   : memory.unfinished.subspan(row * size, size);
            if (bytes.empty() || !decodeGroup((*places)[i], bytes, into, zstd)) good = std::min(good, group(i));
        });
    return good;
}

Loader::Bad Loader::badGroups(const FoundBatch& batch, std::uint32_t layer) const {
    const std::uint32_t visible = groupsOf(batch.row->tokens), stored = groupsOf(batch.row->storedTokens);
    const auto places = readPlaces(*batch.segment, batch.row->offset, *batch.stored, shape_, codec_, layer);
    if (!places) return {std::uint64_t{visible} * shape_.kvHeads, 0};
    const Extent extent{streamHash_, codec_, layer, batch.row->first, batch.row->storedTokens};
    Decompressor zstd;
    std::vector<std::byte> plain;
    Bad bad;
    readGroups(
        *batch.segment, batch.row->offset, *places, [&](std::size_t i) { return i % stored < visible; },
        [&](std::size_t i, std::span<const std::byte> bytes) {
            const auto group = static_cast<std::uint32_t>(i % stored);
            plain.resize(shape_.groupBytes(extent.codecOf(group)));
            if (!bytes.empty() && decodeGroup((*places)[i], bytes, plain, zstd)) return;
            ++bad.groups;
            bad.first = std::min(bad.first, group);
        });
    return bad;
}

KvStream::Check Loader::check(std::span<const FoundBatch> batches, std::uint32_t end) const {
    std::vector<const FoundBatch*> readable;
    std::uint64_t groups = 0;
    std::atomic<std::uint64_t> bad{0};
    std::atomic<std::uint32_t> good{end};
    for (const auto& batch : batches) {
        const std::uint64_t own = shape_.rows() * groupsOf(batch.row->tokens);
        groups += own;
        const bool whole = batch.stored && (mostSketchBytes(shape_, codec_, batch.row->storedTokens) == 0 ||
                                            (batch.sketch && checkSketch(*batch.sketch, sketchOf(batch), shape_)));
        if (whole) {
            readable.push_back(&batch);
        } else {
            bad += own;
            lower(good, batch.row->first);
        }
    }
    onThreads(readable.size() * shape_.layers, [&](std::size_t i) {
        const auto& batch = *readable[i / shape_.layers];
        const auto found = badGroups(batch, static_cast<std::uint32_t>(i % shape_.layers));
        bad += found.groups;
        if (found.groups > 0) lower(good, batch.row->first + found.first * kGroupTokens);
    });
    return {groups, bad, good};
}

}  // namespace carrel
