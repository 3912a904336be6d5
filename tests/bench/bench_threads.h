#pragma once

#include <benchmark/benchmark.h>

#include <cstdlib>

/// CARREL_BENCH_THREADS, or one per core. With one thread rates are per second of its processor time, which a busy
/// machine spoils least.
inline unsigned benchThreads() {
    const char* asked = std::getenv("CARREL_BENCH_THREADS");
    return asked != nullptr ? static_cast<unsigned>(std::atoi(asked)) : 0;
}
inline void timeFairly(benchmark::internal::Benchmark* row) {
    if (benchThreads() != 1) row->UseRealTime();
}
