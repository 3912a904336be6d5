#pragma once

#include <carrel/compute.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "store/reading_store.h"

namespace carrel {

/// A reading that is on disk.
struct KeptReading {
    std::string id;
    std::uint64_t bytes = 0;
    std::int64_t usedAt = 0;  // seconds since 1970
    bool open = false;
};

/// How many bytes all readings together may take. Free space is what would be free without them: a quota must not
/// shrink by what it is used for.
std::uint64_t quotaOf(const DiskLimits& limits, std::uint64_t freeBytes, std::uint64_t usedBytes);

/// What it takes to make room.
struct RoomPlan {
    std::vector<std::size_t> evict;  // of the readings, the longest unused first; empty where that would not do
    std::uint64_t room = 0;          // bytes there are, or would be if all were evicted that may be
    bool fits = false;
};

/// Room for `need` more bytes: within the quota, and with leaveFreeBytes left. Evicted is by last use, never what is
/// open or was used within a day, and nothing at all where it would not be enough. Pure.
RoomPlan makeRoom(const DiskLimits& limits, const std::vector<KeptReading>& readings, std::uint64_t freeBytes,
                  std::int64_t now, std::uint64_t need);

/// A store's readings, as makeRoom() wants them, and the disk they are on.
struct Kept {
    std::vector<StreamInfo> rows;
    std::vector<KeptReading> readings;  // in the same order
    std::uint64_t freeBytes = 0, usedBytes = 0;
};
Result<Kept> keptReadings(ReadingStore& store, FileSystem& files, const std::filesystem::path& dataDir);

/// makeRoom() for a store as it is now.
struct Room {
    Kept kept;
    RoomPlan plan;  // of kept.rows
};
Result<Room> planRoom(std::uint64_t need, const DiskLimits& limits, ReadingStore& store, FileSystem& files,
                      const std::filesystem::path& dataDir, const std::function<bool(const StreamInfo&)>& open);

/// Evicts what makeRoom() names and tells each that went. DiskFull, with need and have: nothing went, unless another
/// process came between. What another process has open counts as open.
Status evictFor(std::uint64_t need, const DiskLimits& limits, ReadingStore& store, FileSystem& files,
                const std::filesystem::path& dataDir, const std::function<bool(const StreamInfo&)>& open,
                const std::function<void(const StreamInfo&)>& tell);

}  // namespace carrel
