#include "base/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace carrel {

namespace {

// Long enough to bridge the gap between two operations of a layer (microseconds), short enough to leave a core idle between tokens
// of a paused reading.
constexpr int kSpins = 4000;

inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

}  // namespace

struct ThreadPool::State {
    std::atomic<std::uint64_t> round{0};     // counts parallelFor calls; a change wakes the workers
    std::atomic<std::size_t> next{0};
    std::atomic<unsigned> busy{0};           // workers that have not finished this round
    std::size_t count = 0;
    const std::function<void(std::size_t)>* work = nullptr;
    std::atomic<bool> quit{false};
    std::mutex mutex;
    std::condition_variable wake;
    unsigned parked = 0;                     // under mutex
    std::vector<std::thread> threads;

    void drain() {
        for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) (*work)(i);
    }
    void run() {
        std::uint64_t seen = 0;
        while (true) {
            for (int spin = 0; spin < kSpins && round.load(std::memory_order_acquire) == seen; ++spin) relax();
            if (round.load(std::memory_order_acquire) == seen) {
                std::unique_lock lock(mutex);
                ++parked;
                wake.wait(lock, [&] { return round.load(std::memory_order_acquire) != seen; });
                --parked;
            }
            seen = round.load(std::memory_order_acquire);
            if (quit) return;
            drain();
            busy.fetch_sub(1, std::memory_order_release);
        }
    }
    void startRound() {
        {
            const std::lock_guard lock(mutex);
            round.fetch_add(1, std::memory_order_release);
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
    state_->startRound();
    for (auto& thread : state_->threads) thread.join();
}

unsigned ThreadPool::size() const { return static_cast<unsigned>(state_->threads.size()) + 1; }

void ThreadPool::parallelFor(std::size_t count, const std::function<void(std::size_t)>& work) {
    if (count <= 1 || state_->threads.empty()) {
        for (std::size_t i = 0; i < count; ++i) work(i);
        return;
    }
    state_->count = count;
    state_->work = &work;
    state_->next.store(0, std::memory_order_relaxed);
    state_->busy.store(static_cast<unsigned>(state_->threads.size()), std::memory_order_relaxed);
    state_->startRound();
    state_->drain();
    while (state_->busy.load(std::memory_order_acquire) != 0) relax();
}

}  // namespace carrel
