#pragma once

#include "compute/cpu/cpu_backend.h"
#include "engine/compute/backend_under_test.h"
#include "engine/kv/memory_stream.h"
#include "kv/document_kv.h"
#include "tensor/quant.h"

namespace carrel {

/// A committed document of random keys and values, and what its leaves are as rows.
struct DocumentWorld {
    KvShape shape;
    KvCodec codec;
    std::unique_ptr<Backend> backend = backendUnderTest(1);
    std::unique_ptr<Backend> cpu = makeCpuBackendWith(availableIsas().back(), 1);  // makes the document
    MemoryStream stream;
    std::mt19937 random;
    std::vector<std::byte> rows;  // [layers, heads, groups * 4, rowsBytes]
    std::uint32_t groups = 0;

    DocumentWorld(KvShape of, KvCodec in, std::initializer_list<std::uint32_t> batches, unsigned seed = 1)
        : shape(of), codec(in), stream(of, in), random(seed) {
        for (const std::uint32_t batch : batches) static_cast<void>(commit(batch));
    }
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); }

    /// One more batch of so many groups, and the parts for append().
    KvGroups commit(std::uint32_t count) {
        auto made = KvGroups::make(*backend, shape, codec, groups, count);
        REQUIRE(made);
        std::vector<std::uint16_t> plain(2 * std::size_t{kGroupTokens} * shape.headDim);
        for (std::uint32_t layer = 0; layer < shape.layers; ++layer)
            for (std::uint32_t head = 0; head < shape.kvHeads; ++head)
                for (std::uint32_t i = 0; i < count; ++i) {
                    for (auto& value : plain)
                        value = f32ToF16(static_cast<float>(static_cast<int>(below(4001)) - 2000) / 500.0f);
                    if (codec == KvCodec::F16) {
                        std::memcpy(made->payload(layer, head, i), plain.data(), plain.size() * 2);
                        continue;
                    }
                    const EncodeGroup group{plain.data(), plain.data() + plain.size() / 2,
                                            made->payload(layer, head, i), made->codes(layer, head, i),
                                            made->means(layer, head, i)};
                    cpu->encode(codec, shape.headDim, {&group, 1});
                }
        const std::vector<std::int32_t> ids(std::size_t{count} * kGroupTokens);
        REQUIRE(stream.commit({groups * kGroupTokens, ids, made->payload(), made->codes(), {}}));
        stream.batches.back().means.assign(made->means().begin(), made->means().end());
        groups += count;
        makeRows();
        return std::move(*made);
    }
    void makeRows() {
        if (codec == KvCodec::F16) return;
        rows.assign(shape.rows() * groups * kGroupLeaves * rowsBytes(shape.headDim), std::byte{});
        for (std::uint32_t layer = 0; layer < shape.layers; ++layer)
            for (std::uint32_t head = 0; head < shape.kvHeads; ++head)
                for (std::uint32_t leaf = 0; leaf < groups * kGroupLeaves; ++leaf) unpack(layer, head, leaf);
    }
    void unpack(std::uint32_t layer, std::uint32_t head, std::uint32_t leaf) {
        const std::byte* payload = stream.part(&MemoryStream::Batch::payload, {layer, head, leaf / kGroupLeaves});
        const std::byte* codes = stream.part(&MemoryStream::Batch::codes, {layer, head, leaf / kGroupLeaves});
        const UnpackLeaf one = packedLeaf(codec, shape.headDim, payload, codes, leaf % kGroupLeaves,
                                          const_cast<std::byte*>(rowsOf(layer, head, leaf)));
        cpu->unpack(codec, shape.headDim, {&one, 1});
    }
    /// Memory of the backend's, and what must be in it.
    bool same(const void* there, const void* wanted, std::size_t bytes) const {
        std::vector<std::byte> read(bytes);
        backend->copyOut(read, there);
        return std::memcmp(read.data(), wanted, bytes) == 0;
    }
    const std::byte* rowsOf(std::uint32_t layer, std::uint32_t head, std::uint32_t leaf) const {
        return rows.data() +
               ((std::size_t{layer} * shape.kvHeads + head) * groups * kGroupLeaves + leaf) * rowsBytes(shape.headDim);
    }
    /// Bytes of rows that mean something: the rest is padding.
    std::size_t rowsUsed() const { return 32 * std::size_t{shape.headDim} + 64 * valueBlocks(shape.headDim); }

    std::unique_ptr<DocumentKv> open(const TierOptions& options, std::uint32_t capacityGroups = 0) {
        auto made =
            DocumentKv::open(*backend, stream, shape, codec, std::max(capacityGroups, groups) * kGroupTokens, options);
        if (!made) INFO(made.error().detail);
        REQUIRE(made);
        return std::move(*made);
    }
};

/// Masks [nTokens, heads, leaves] of a step.
struct Choice {
    std::size_t nTokens, heads, leaves;
    std::vector<std::uint16_t> mask;
    Choice(std::size_t tokens, std::size_t ofHeads, std::size_t ofLeaves)
        : nTokens(tokens), heads(ofHeads), leaves(ofLeaves), mask(tokens * ofHeads * ofLeaves) {}
    std::uint16_t& at(std::size_t token, std::size_t head, std::size_t leaf) {
        return mask[(token * heads + head) * leaves + leaf];
    }
    std::uint16_t any(std::size_t head, std::size_t leaf) const {
        std::uint16_t all = 0;
        for (std::size_t t = 0; t < nTokens; ++t) all |= mask[(t * heads + head) * leaves + leaf];
        return all;
    }
    std::size_t count() const {
        std::size_t sum = 0;
        for (std::size_t head = 0; head < heads; ++head)
            for (std::size_t leaf = 0; leaf < leaves; ++leaf) sum += any(head, leaf) != 0 ? 1 : 0;
        return sum;
    }
    View<const std::uint16_t, 3> view() const { return {mask.data(), {nTokens, heads, leaves}}; }
};

/// Up to `most` leaves, all heads and sequences together; a few favourites come again and again.
inline Choice randomChoice(DocumentWorld& world, std::size_t nTokens, std::uint32_t most) {
    Choice choice(nTokens, world.shape.kvHeads, std::size_t{world.groups} * kGroupLeaves);
    for (std::uint32_t i = world.below(most + 1); i > 0; --i) {
        const auto leaves = static_cast<std::uint32_t>(choice.leaves);
        const std::uint32_t leaf = world.below(2) == 0 ? world.below(leaves) : world.below(std::max(1u, leaves / 8));
        choice.at(world.below(static_cast<std::uint32_t>(nTokens)), world.below(world.shape.kvHeads), leaf) |=
            static_cast<std::uint16_t>(1u << world.below(16));
    }
    return choice;
}

inline void checkPins(const DocumentWorld& world, const KvPins& pins, std::uint32_t layer, const Choice& choice) {
    std::size_t wrong = 0;
    for (std::uint32_t head = 0; head < world.shape.kvHeads; ++head)
        for (std::uint32_t leaf = 0; leaf < choice.leaves; ++leaf) {
            const std::byte* rows = pins.rows(head, leaf);
            if (choice.any(head, leaf) == 0)
                wrong += rows != nullptr ? 1 : 0;
            else
                wrong +=
                    rows == nullptr || !world.same(rows, world.rowsOf(layer, head, leaf), world.rowsUsed()) ? 1 : 0;
        }
    CHECK(wrong == 0);
}

/// What is not late is right before the rest comes.
inline void checkThere(const DocumentWorld& world, const KvPins& pins, std::uint32_t layer, const Choice& choice) {
    std::size_t wrong = 0, late = 0;
    for (std::uint32_t head = 0; head < world.shape.kvHeads; ++head)
        for (std::uint32_t leaf = 0; leaf < choice.leaves; ++leaf) {
            if (choice.any(head, leaf) == 0 || pins.late(head, leaf))
                late += pins.late(head, leaf) ? 1 : 0;
            else
                wrong += world.same(pins.rows(head, leaf), world.rowsOf(layer, head, leaf), world.rowsUsed()) ? 0 : 1;
        }
    CHECK(wrong == 0);
    CHECK((late > 0) == pins.late());
}

inline void checkBudgets(const TierCounters& counters) {
    for (const TierUse* use : {&counters.device, &counters.host}) {
        CHECK(use->usedBytes <= use->peakBytes);
        CHECK(use->peakBytes <= use->budgetBytes);
    }
}

/// What leaves say together is what the counters say.
inline void checkPlaces(const DocumentKv& kv) {
    std::array<std::uint64_t, 3> reads{};
    std::uint64_t device = 0, host = 0, all = 0;
    for (const LeafRow& row : kv.places())
        for (const LeafPlace& leaf : row.leaves) {
            for (std::size_t tier = 0; tier < 3; ++tier) reads[tier] += leaf.reads[tier];
            device += leaf.tier == Tier::Device ? 1 : 0;
            host += leaf.inHost ? 1 : 0;
            ++all;
            CHECK((leaf.tier != Tier::Host || leaf.inHost));
        }
    const TierCounters counters = kv.counters();
    CHECK(reads[0] == counters.device.hits);
    CHECK(reads[1] == counters.host.hits);
    CHECK(reads[2] == counters.host.misses);
    CHECK(device == counters.device.leaves);
    CHECK(host == counters.host.leaves);
    CHECK(all == counters.disk.leaves);
}

/// What little a document can do with: from the sentence that refuses less.
inline TierOptions smallest(DocumentWorld& world, TierOptions options, std::uint32_t capacityGroups = 0) {
    options.deviceBytes = options.hostBytes = 0;
    const auto refused = DocumentKv::open(*world.backend, world.stream, world.shape, world.codec,
                                          std::max(capacityGroups, world.groups) * kGroupTokens, options);
    REQUIRE(!refused);
    REQUIRE(refused.error().code == Code::NoMemory);
    unsigned long device = 0, host = 0;
    REQUIRE(std::sscanf(refused.error().detail.c_str(), "needs at least %lu MiB of device and %lu MiB", &device,
                        &host) == 2);
    options.deviceBytes = device << 20;
    options.hostBytes = host << 20;
    return options;
}

}  // namespace carrel
