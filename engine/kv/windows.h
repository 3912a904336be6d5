#pragma once

#include <carrel/result.h>

#include <cstdint>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "kv/chunker.h"
#include "kv/dense_runs.h"
#include "kv/memory_tier.h"
#include "kv/sketch.h"
#include "kv/tier.h"
#include "store/reading_store.h"

namespace carrel {

/// Full attention over a document on disk: windows of groups, two of them read ahead. What is in the device or host
/// tier is used where it lies, and what is read goes to the host tier only where that has slots to spare, so that a
/// scan longer than host does not wash it out.
class Windows {
  public:
    struct Source {
        Backend& backend;
        GroupReader& reader;
        const MemoryTier& device;
        MemoryTier& host;
        const Sketch& sketch;
        Chunker& chunker;  // counts reads
        KvShape shape;
        KvCodec codec;
        std::uint32_t capacityGroups;
    };
    /// staging: payloadBytes(groups), of the host; rows: unpackedBytes(groups).
    Windows(Source source, std::byte* staging, std::byte* rows, std::uint32_t groups);
    ~Windows() { drain(); }
    Windows(const Windows&) = delete;
    Windows& operator=(const Windows&) = delete;
    static std::uint64_t payloadBytes(KvShape shape, KvCodec codec, std::uint32_t groups);
    static std::uint64_t unpackedBytes(KvShape shape, KvCodec codec, std::uint32_t groups);

    struct Bad {
        std::uint32_t layer, head, group;
    };
    /// Runs of [first, first + count), count at most `groups`; totalGroups: where a layer ends. False: `bad` says which
    /// group cannot be had.
    bool get(std::uint32_t layer, std::uint32_t first, std::uint32_t count, std::uint32_t totalGroups,
             TierCounters& counters, Bad& bad);
    std::span<const std::vector<KvRun>> runs() const { return runs_.runs(); }
    /// Waits for what is under way; what was read ahead is forgotten.
    void drain();

  private:
    struct Part {
        std::uint32_t head, first, count;
        bool done = false, good = false;
    };
    struct Job {
        std::uint32_t layer = 0, first = 0, count = 0, underWay = 0;
        bool open = false;
        std::vector<Part> parts;
        std::vector<std::uint8_t> read;  // [heads, count]
    };
    Job* find(std::uint32_t layer, std::uint32_t first, std::uint32_t count);
    Job& start(std::uint32_t layer, std::uint32_t first, std::uint32_t count);
    void readAhead(std::uint32_t totalGroups);
    void keep(const Job& job);
    void submit(Job& job, std::uint32_t head, std::uint32_t first, std::uint32_t count);
    bool finish(Job& job, TierCounters& counters, Bad& bad);
    bool readNow(Job& job, std::uint32_t head, std::uint32_t group);
    void reap(std::size_t atLeast);
    bool build(Job& job, TierCounters& counters, Bad& bad);
    bool inDevice(std::size_t row, std::uint32_t group) const;
    void count(std::size_t row, std::uint32_t group, Tier from) {
        for (std::uint32_t i = 0; i < kGroupLeaves; ++i) from_.chunker.read(row, group * kGroupLeaves + i, from);
    }
    std::byte* payload(const Job& job, std::uint32_t head, std::uint32_t group) const;

    Source from_;
    std::byte *staging_, *rows_;
    std::uint32_t groups_;
    std::vector<Job> jobs_;   // one per payload's memory
    Job* current_ = nullptr;  // whose memory the runs point into
    bool has_ = false;
    std::uint32_t layer_ = 0, first_ = 0, count_ = 0, stride_ = 0;  // of the window that runs() are of
    std::vector<UnpackLeaf> unpack_;
    DenseRuns runs_;
};

}  // namespace carrel
