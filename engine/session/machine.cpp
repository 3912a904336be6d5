#include <carrel/models.h>
#include <time.h>

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
constexpr std::chrono::milliseconds kLong{200}, kLongest{1000};
constexpr std::size_t kPieces = 8;
constexpr double kTogether = 1.25;  // longer than its slowest thread worked, a piece had a thread that waited
constexpr std::size_t kAhead = 8;   // sums at a time: one would wait for itself

std::uint64_t sumOf(const std::uint64_t* from, std::size_t words) {
    std::uint64_t sums[kAhead] = {};
    for (std::size_t at = 0; at < words; at += kAhead)
        for (std::size_t k = 0; k < kAhead; ++k) sums[k] += from[at + k];
    return std::accumulate(sums, sums + kAhead, std::uint64_t{0});
}

double threadSeconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
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

// In small pieces, of which those count in which all threads ran at once: other programs then take little from the
// figure.
double measureReadRate(unsigned threads) {
    using Clock = std::chrono::steady_clock;
    ThreadPool pool(threads);
    const std::size_t words = kBytes / kPieces / sizeof(std::uint64_t) / pool.size() / kAhead * kAhead;
    auto* const memory = static_cast<std::uint64_t*>(mapPages(kBytes));
    if (memory == nullptr) return 0;
    std::fill_n(memory, words * pool.size() * kPieces, 1);
    std::vector<double> undisturbed, all, busy(pool.size());
    const auto begin = Clock::now();
    for (std::size_t round = 0; Clock::now() - begin < (undisturbed.empty() ? kLongest : kLong); ++round) {
        const std::uint64_t* piece = memory + round % kPieces * pool.size() * words;
        const auto start = Clock::now();
        pool.parallelFor(pool.size(), [&](std::size_t i) {
            const double before = threadSeconds();
            const bool right = sumOf(piece + i * words, words) == words;  // a sum that nobody wants is not compiled
            busy[i] = right ? threadSeconds() - before : 0;
        });
        const std::chrono::duration<double> took = Clock::now() - start;
        const double bytes = static_cast<double>(words * pool.size() * sizeof(std::uint64_t));
        const double slowest = *std::ranges::max_element(busy);
        if (slowest <= 0) continue;
        all.push_back(bytes / slowest);
        if (took.count() < kTogether * slowest) undisturbed.push_back(bytes / took.count());
    }
    unmapPages(memory, kBytes);
    std::vector<double>& rates = undisturbed.empty() ? all : undisturbed;  // which is too much, but not by much
    if (rates.empty()) return 0;
    const auto middle = rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2);
    std::nth_element(rates.begin(), middle, rates.end());
    return *middle;
}

}  // namespace carrel
