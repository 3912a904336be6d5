#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/thread_pool.h"

namespace carrel {

TEST_CASE("Every index is worked on exactly once, whatever the count and the number of threads") {
    for (const unsigned threads : {1u, 2u, 5u}) {
        ThreadPool pool(threads);
        CHECK(pool.size() == threads);
        for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{3},
                                        std::size_t{1000}, std::size_t{0}, std::size_t{1000}}) {
            CAPTURE(threads);
            CAPTURE(count);
            std::vector<std::atomic<int>> seen(count);
            pool.parallelFor(count, [&](std::size_t i) { ++seen.at(i); });
            CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& times) { return times == 1; }));
        }
    }
    CHECK(ThreadPool(0).size() >= 1);
}

TEST_CASE("What a round wrote is there when the round has ended, ten thousand times over") {
    // Five threads on two cores take turns by the scheduler's clock, so they get fewer rounds.
    for (const auto& [threads, rounds] : {std::pair{1u, 10'000u}, std::pair{2u, 10'000u}, std::pair{5u, 300u}}) {
        CAPTURE(threads);
        ThreadPool pool(threads);
        std::vector<std::uint32_t> values(7);  // plain memory: the pool alone orders the threads
        for (std::uint32_t round = 1; round <= rounds; ++round) {
            const std::size_t count = 1 + round % values.size();
            pool.parallelFor(count, [&](std::size_t i) { values[i] = round; });
            if (!std::all_of(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count),
                             [&](std::uint32_t v) { return v == round; }))
                FAIL("round " << round);
        }
    }
}

TEST_CASE("A pool inside another's work is a pool of its own") {
    ThreadPool outer(2);
    std::atomic<int> sum = 0;
    outer.parallelFor(20, [&](std::size_t) {
        ThreadPool inner(2);
        inner.parallelFor(50, [&](std::size_t i) { sum += static_cast<int>(i); });
    });
    CHECK(sum == 20 * 49 * 50 / 2);
}

TEST_CASE("Pools come and go without a round, and after one") {
    for (int i = 0; i < 200; ++i) {
        ThreadPool pool(3);
        int done = 0;
        if (i % 2 == 0) pool.parallelFor(1, [&](std::size_t) { ++done; });
        CHECK(done == (i % 2 == 0));
    }
}

}  // namespace carrel
