#pragma once

#include <carrel/tiers.h>

#include <cstdint>

#include "store/reading_store.h"

namespace carrel {

/// Budgets of a document's KV, and parts that a measurement may switch off.
struct TierOptions {
    std::uint64_t deviceBytes = 0;  // leaves as rows
    std::uint64_t hostBytes = 0;    // sketch, directory, staging, and groups as on disk
    std::uint64_t localBytes = 0;   // of deviceBytes, what windows of local layers have (SlidingKv)
    bool ownDevice = false;         // device memory is not the host's: sketch and windows' rows are there if they fit
    bool means = true;              // keep the leaves' value means resident where host has the room
    bool keyMeans = false;          // their key means too, or NoMemory
    bool adaptiveChunks = true;     // off: chunks of fixedChunkTokens
    std::uint32_t fixedChunkTokens = 64;
    bool pipeline = true;            // DTP; off: everything that is chosen is read before anything goes on
    bool reuse = true;               // off: nothing stays in the device tier after its layer
    std::uint32_t boundsTokens = 0;  // keep the paper's min/max per so many tokens (16, 32, 64 or 128); 0: none
    ReaderOptions reader;
};

/// bytesRead: by attention (device), by unpacking groups that were in host (host), from disk as read (disk).
/// hits and misses, leaves of pin() and window(): device has them or not; of those it has not, host has them or not; of
/// the rest, disk has delivered them in time or not.
/// stallS, seconds that the engine does not compute: unpacking (host), waiting for reads (disk).
struct TierUse {
    std::uint64_t budgetBytes = 0, usedBytes = 0, peakBytes = 0;
    std::uint64_t bytesRead = 0;
    std::uint64_t hits = 0, misses = 0;
    double stallS = 0;
    std::uint64_t leaves = 0;  // held
};

/// Since resetCounters(), but for what is held and used, and peak bytes.
struct TierCounters {
    TierUse device, host, disk;
    std::uint64_t prefetched = 0, prefetchedUsed = 0;  // leaves
};

static_assert(kViewTokens == kLeafTokens);

}  // namespace carrel
