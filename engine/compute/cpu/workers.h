#pragma once

#include <atomic>
#include <cstddef>

#include "base/thread_pool.h"

namespace carrel {

/// Calls work(slot, index) for every index in [0, count). Calls with one slot (of pool.size()) never run at the same
/// time, so a slot may own scratch memory.
template <class Work>
void forEachWithSlot(ThreadPool& pool, std::size_t count, const Work& work) {
    if (count <= 1 || pool.size() == 1) {
        for (std::size_t i = 0; i < count; ++i) work(std::size_t{0}, i);
        return;
    }
    struct Shared {
        const Work& work;
        std::size_t count;
        std::atomic<std::size_t> next{0};
    } shared{work, count, {}};
    pool.parallelFor(pool.size(), [&shared](std::size_t slot) {
        for (std::size_t i; (i = shared.next.fetch_add(1, std::memory_order_relaxed)) < shared.count;)
            shared.work(slot, i);
    });
}

}  // namespace carrel
