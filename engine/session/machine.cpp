#include <carrel/models.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <thread>

#include "base/thread_pool.h"
#include "compute/cpu/pages.h"
#include "session/loaded_model.h"

namespace carrel {

namespace {

constexpr std::size_t kBytes = std::size_t{128} << 20;  // more than caches hold; weights lie in huge pages too
constexpr std::chrono::milliseconds kLong{200};
constexpr std::size_t kAhead = 8;  // sums at a time: one would wait for itself

std::uint64_t sumOf(const std::uint64_t* from, std::size_t words) {
    std::uint64_t sums[kAhead] = {};
    for (std::size_t at = 0; at < words; at += kAhead)
        for (std::size_t k = 0; k < kAhead; ++k) sums[k] += from[at + k];
    return std::accumulate(sums, sums + kAhead, std::uint64_t{0});
}

/// What follows a key's colon, in a file of "key : value" lines.
std::string lineOf(const char* file, const std::string& key) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);)
        if (line.starts_with(key))
            if (const auto colon = line.find(':'); colon != line.npos) {
                const auto begin = line.find_first_not_of(" \t", colon + 1);
                return begin == line.npos ? std::string() : line.substr(begin);
            }
    return {};
}

}  // namespace

Machine thisMachine(unsigned threads) {
    const std::string cpu = lineOf("/proc/cpuinfo", "model name"), memory = lineOf("/proc/meminfo", "MemTotal");
    // Whole GiB: another kernel keeps some MiB more or less for itself.
    const auto gib = (std::strtoull(memory.c_str(), nullptr, 10) + (1u << 19)) >> 20;
    const unsigned cores = std::thread::hardware_concurrency();
    return {(cpu.empty() ? "unknown processor" : cpu) + ", " + std::to_string(cores) + " cores, " +
                std::to_string(gib) + " GiB, " + std::to_string(threads == 0 ? cores : threads) + " threads",
            availableMemory(), 0};
}

double measureReadRate(unsigned threads) {
    using Clock = std::chrono::steady_clock;
    ThreadPool pool(threads);
    const std::size_t words = kBytes / sizeof(std::uint64_t) / pool.size() / kAhead * kAhead;
    auto* const memory = static_cast<std::uint64_t*>(mapPages(kBytes));
    if (memory == nullptr) return 0;
    std::fill_n(memory, words * pool.size(), 1);
    double best = 0;
    std::vector<std::uint64_t> sums(pool.size());
    bool right = true;  // uses the sums: a loop whose outcome nobody wants is not compiled
    for (const auto until = Clock::now() + kLong; Clock::now() < until;) {
        const auto start = Clock::now();
        pool.parallelFor(pool.size(), [&](std::size_t i) { sums[i] = sumOf(memory + i * words, words); });
        const std::chrono::duration<double> took = Clock::now() - start;
        right = right && std::ranges::all_of(sums, [&](std::uint64_t sum) { return sum == words; });
        best = std::max(best, static_cast<double>(words * pool.size() * sizeof(std::uint64_t)) / took.count());
    }
    unmapPages(memory, kBytes);
    return right ? best : 0;
}

}  // namespace carrel
