#include "kv/loading.h"

#include <algorithm>
#include <string>
#include <vector>

namespace carrel {

namespace {

const std::byte* part(std::span<std::byte> memory, std::size_t group, std::size_t bytes) {
    return memory.empty() ? nullptr : memory.data() + group * bytes;
}

std::uint32_t storedGroups(KvCodec codec, std::uint32_t tokens) {
    return (tokens + (codec == KvCodec::F16 ? kGroupTokens - 1 : 0)) / kGroupTokens;
}

}  // namespace

const std::byte* LoadedBatch::payload(std::size_t row, std::uint32_t group) const {
    return part(memory.payload, row * stored + group, payloadBytes);
}
const std::byte* LoadedBatch::codes(std::size_t row, std::uint32_t group) const {
    return part(memory.codes, row * stored + group, codesBytes);
}

std::size_t LoadParts::groupBytes(KvShape shape, KvCodec codec) const {
    return (payload ? payloadBytes(codec, shape.headDim) : 0) +
           (codes && codec != KvCodec::F16 ? codesBytes(shape.headDim) : 0);
}

Result<std::uint32_t> largestBatch(KvStream& stream, KvCodec codec) {
    std::uint32_t most = 0;
    const auto seen = stream.load([&](std::uint32_t, std::uint32_t tokens) -> std::optional<KvMemory> {
        most = std::max(most, storedGroups(codec, tokens));
        return KvMemory{};  // nothing is wanted, nothing is read
    });
    if (!seen) return seen.error();
    return most;
}

Result<std::uint32_t> loadBatches(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec, LoadParts parts,
                                  std::uint64_t stagingBytes, const std::function<void(const LoadedBatch&)>& take,
                                  std::uint32_t firstGroup) {
    const bool encoded = codec != KvCodec::F16;
    LoadedBatch like;
    like.payloadBytes = parts.payload ? payloadBytes(codec, shape.headDim) : 0;
    like.codesBytes = encoded && parts.codes ? codesBytes(shape.headDim) : 0;
    const std::size_t groupBytes = parts.groupBytes(shape, codec);
    const std::uint32_t whole = stream.tokens() / kGroupTokens;
    if (groupBytes == 0 || whole == 0) return whole;

    // A batch more than all groups at once is for f16's unfinished ones, which the next batch has again.
    const std::uint64_t all = shape.rows() * (std::uint64_t{whole} + 16) * groupBytes;
    auto staging = backend.allocate(std::min(stagingBytes, all));
    if (!staging) return staging.error();
    std::uint32_t good = whole;
    for (std::size_t next = 0;;) {
        std::vector<LoadedBatch> batches;
        std::size_t seen = 0, taken = next, used = 0, tooLarge = 0;
        bool full = false;
        const auto allocate = [&](std::uint32_t first, std::uint32_t tokens) -> std::optional<KvMemory> {
            LoadedBatch batch = like;
            batch.firstGroup = first / kGroupTokens;
            batch.groups = tokens / kGroupTokens;
            batch.stored = storedGroups(codec, tokens);
            if (seen++ < next || full || batch.firstGroup + batch.stored <= firstGroup) return KvMemory{};
            const std::size_t groups = shape.rows() * batch.stored;
            if (used + groups * groupBytes > staging->bytes()) {
                full = true;
                if (batches.empty()) tooLarge = groups * groupBytes;
                return KvMemory{};
            }
            const auto give = [&](std::size_t bytes) {
                const std::size_t at = used;
                used += groups * bytes;
                return std::span(staging->as<std::byte>(at), groups * bytes);
            };
            batch.memory.payload = give(like.payloadBytes);
            batch.memory.codes = give(like.codesBytes);
            batches.push_back(batch);
            taken = seen;
            return batch.memory;
        };
        const auto loaded = stream.load(allocate);
        if (!loaded) return loaded.error();
        if (tooLarge > 0)
            return Error{Code::NoMemory, "loading", "a stored batch has " + std::to_string(tooLarge) + " bytes"};
        good = std::min(good, *loaded / kGroupTokens);
        for (LoadedBatch& batch : batches) {
            if (batch.firstGroup >= good) break;
            batch.groups = std::min(batch.groups, good - batch.firstGroup);
            if (batch.groups > 0) take(batch);
        }
        backend.settle();  // what take() enqueued reads the staging
        next = taken;
        if (!full || good < whole) return good;
    }
}

}  // namespace carrel
