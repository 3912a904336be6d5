#include "base/thread_pool.h"

#include <atomic>
#include <cassert>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace carrel {

namespace {

// Long enough to bridge the gap between two operations of a layer (microseconds), short enough to leave a core idle
// between tokens of a paused reading.
constexpr int kSpins = 4000;

inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

}  // namespace

struct ThreadPool::State {
    // Upper half: number of the parallelFor call, so that a late worker cannot mistake one for another. Lower half:
    // items nobody has taken. Work and count change only while no item is taken or open. Nobody waits for a worker that
    // took nothing: on a busy machine it may not run for a long time.
    std::atomic<std::uint64_t> open{0};
    std::atomic<std::size_t> unfinished{0};
    std::size_t count = 0;
    const std::function<void(std::size_t)>* work = nullptr;
    std::atomic<bool> quit{false};
    std::mutex mutex;
    std::condition_variable wake;
    unsigned parked = 0;  // under mutex
    std::vector<std::thread> threads;

    bool anything() const { return static_cast<std::uint32_t>(open.load(std::memory_order_acquire)) != 0; }
    void drain() {
        std::uint64_t now = open.load(std::memory_order_acquire);
        while (static_cast<std::uint32_t>(now) != 0) {
            if (!open.compare_exchange_weak(now, now - 1, std::memory_order_acq_rel, std::memory_order_acquire))
                continue;
            (*work)(count - static_cast<std::uint32_t>(now));
            unfinished.fetch_sub(1, std::memory_order_release);
            now = open.load(std::memory_order_acquire);
        }
    }
    void run() {
        while (true) {
            for (int spin = 0; spin < kSpins && !anything() && !quit; ++spin) relax();
            if (!anything()) {
                std::unique_lock lock(mutex);
                ++parked;
                wake.wait(lock, [&] { return anything() || quit; });
                --parked;
            }
            if (quit) return;
            drain();
        }
    }
    void wakeParked() {
        {
            const std::lock_guard lock(mutex);
            if (parked == 0) return;
        }
        wake.notify_all();
    }
};

ThreadPool::ThreadPool(unsigned threads) : state_(std::make_unique<State>()) {
    if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
    for (unsigned i = 1; i < threads; ++i) state_->threads.emplace_back([state = state_.get()] { state->run(); });
}

ThreadPool::~ThreadPool() {
    state_->quit = true;
    state_->wakeParked();
    for (auto& thread : state_->threads) thread.join();
}

unsigned ThreadPool::size() const {
    return static_cast<unsigned>(state_->threads.size()) + 1;
}

void ThreadPool::parallelFor(std::size_t count, const std::function<void(std::size_t)>& work) {
    if (count <= 1 || state_->threads.empty()) {
        for (std::size_t i = 0; i < count; ++i) work(i);
        return;
    }
    assert(count <= 0xffffffffu);
    state_->count = count;
    state_->work = &work;
    state_->unfinished.store(count, std::memory_order_relaxed);
    const std::uint64_t call = (state_->open.load(std::memory_order_relaxed) >> 32) + 1;
    state_->open.store(call << 32 | count, std::memory_order_release);
    state_->wakeParked();
    state_->drain();
    for (int spin = 0; state_->unfinished.load(std::memory_order_acquire) != 0; ++spin) {
        if (spin < kSpins)
            relax();
        else
            std::this_thread::yield();
    }
}

}  // namespace carrel
