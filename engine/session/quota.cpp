#include "session/quota.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <unordered_set>

namespace carrel {

namespace {

constexpr std::uint64_t kMostAutomatic = 50'000'000'000;
constexpr std::uint64_t kFreeShare = 5;
constexpr std::int64_t kFresh = 24 * 3600;  // seconds: what was used since stays

std::string gigabytes(std::uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) / 1e9);
    return text;
}

std::uint64_t less(std::uint64_t all, std::uint64_t part) {
    return all - std::min(all, part);
}

}  // namespace

std::uint64_t quotaOf(const DiskLimits& limits, std::uint64_t freeBytes, std::uint64_t usedBytes) {
    if (limits.quotaBytes > 0) return limits.quotaBytes;
    return std::min(kMostAutomatic, (freeBytes + usedBytes) / kFreeShare);
}

RoomPlan makeRoom(const DiskLimits& limits, const std::vector<KeptReading>& readings, std::uint64_t freeBytes,
                  std::int64_t now, std::uint64_t need) {
    std::uint64_t used = 0;
    for (const KeptReading& reading : readings) used += reading.bytes;
    const std::uint64_t quota = quotaOf(limits, freeBytes, used);
    const auto room = [&](std::uint64_t evicted) {
        return std::min(less(quota, used - evicted), less(freeBytes + evicted, limits.leaveFreeBytes));
    };
    const auto enough = [&](std::uint64_t evicted) { return used - evicted <= quota && room(evicted) >= need; };

    std::vector<std::size_t> order(readings.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::erase_if(order, [&](std::size_t i) {
        return readings[i].open || readings[i].bytes == 0 || readings[i].usedAt > now - kFresh;
    });
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return readings[a].usedAt < readings[b].usedAt; });
    RoomPlan plan;
    std::uint64_t evicted = 0;
    for (const std::size_t i : order) {
        if (enough(evicted)) break;
        evicted += readings[i].bytes;
        plan.evict.push_back(i);
    }
    plan.room = room(evicted);
    plan.fits = enough(evicted);
    if (!plan.fits) plan.evict.clear();
    return plan;
}

Result<Kept> keptReadings(ReadingStore& store, FileSystem& files, const std::filesystem::path& dataDir) {
    Kept out;
    auto rows = store.readingsOf({});
    if (!rows) return rows.error();
    const auto free = files.freeBytes(dataDir);
    if (!free) return free.error();
    out.rows = std::move(*rows);
    out.freeBytes = *free;
    for (const StreamInfo& row : out.rows) {
        out.readings.push_back({row.id, row.diskBytes, row.use.at, false});
        out.usedBytes += row.diskBytes;
    }
    return out;
}

Result<Room> planRoom(std::uint64_t need, const DiskLimits& limits, ReadingStore& store, FileSystem& files,
                      const std::filesystem::path& dataDir, const std::function<bool(const StreamInfo&)>& open) {
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    auto kept = keptReadings(store, files, dataDir);
    if (!kept) return kept.error();
    for (std::size_t i = 0; i < kept->rows.size(); ++i) kept->readings[i].open = open(kept->rows[i]);
    RoomPlan plan = makeRoom(limits, kept->readings, kept->freeBytes, now, need);
    return Room{std::move(*kept), std::move(plan)};
}

Status evictFor(std::uint64_t need, const DiskLimits& limits, ReadingStore& store, FileSystem& files,
                const std::filesystem::path& dataDir, const std::function<bool(const StreamInfo&)>& open,
                const std::function<void(const StreamInfo&)>& tell) {
    std::unordered_set<std::string> busy;
    while (true) {
        const auto room = planRoom(need, limits, store, files, dataDir,
                                   [&](const StreamInfo& row) { return open(row) || busy.contains(row.id); });
        if (!room) return room.error();
        const RoomPlan& plan = room->plan;
        if (!plan.fits)
            return Error{Code::DiskFull, "",
                         "it needs " + gigabytes(need) + ", and there is room for " + gigabytes(plan.room)};
        if (plan.evict.empty()) return {};
        // One at a time: how much is free then is measured again.
        const StreamInfo& row = room->kept.rows[plan.evict.front()];
        const Status gone = store.forgetReading(row.id);
        if (!gone && gone.error().code != Code::Busy) return gone;
        if (gone)
            tell(row);
        else
            busy.insert(row.id);
    }
}

}  // namespace carrel
