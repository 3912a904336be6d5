#include "store/read_queue.h"

#include <liburing.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>

namespace carrel {

namespace {

constexpr unsigned kThreads = 4, kMaxDepth = 4096;

struct OneRead {
    std::uint32_t id;
    File* file;
    std::span<std::byte> into;
    std::uint64_t offset;
};

class RingQueue final : public ReadQueue {
  public:
    static std::unique_ptr<RingQueue> tryMake(unsigned depth) {
        std::unique_ptr<RingQueue> queue(new RingQueue);
        if (::io_uring_queue_init(depth, &queue->ring_, 0) != 0) return nullptr;  // seccomp, sysctl, memory
        queue->open_ = true;
        return queue;
    }
    ~RingQueue() override {
        if (!open_) return;
        std::vector<Finished> ignored;
        while (underWay_ > 0) reap(true, ignored);
        ::io_uring_queue_exit(&ring_);
    }

    void start(std::uint32_t id, File& file, std::span<std::byte> into, std::uint64_t offset) override {
        if (id >= reads_.size()) reads_.resize(id + 1);
        reads_[id] = {id, &file, into, offset};
        auto* entry = ::io_uring_get_sqe(&ring_);
        if (entry == nullptr) {  // more than promised, or the kernel is behind
            atOnce_.push_back({id, bool(file.pread(into, offset))});
            return;
        }
        ::io_uring_prep_read(entry, file.descriptor(), into.data(), static_cast<unsigned>(into.size()), offset);
        ::io_uring_sqe_set_data64(entry, id);
        ++underWay_;
    }
    void send() override { ::io_uring_submit(&ring_); }  // what it does not take now goes with the next call

    void reap(bool wait, std::vector<Finished>& out) override {
        const std::size_t before = out.size();
        out.insert(out.end(), atOnce_.begin(), atOnce_.end());
        atOnce_.clear();
        if (wait && out.size() == before && underWay_ > 0) ::io_uring_submit_and_wait(&ring_, 1);
        ::io_uring_cqe* done = nullptr;
        while (::io_uring_peek_cqe(&ring_, &done) == 0) {
            const auto& read = reads_[done->user_data];
            const bool whole = done->res >= 0 && static_cast<std::size_t>(done->res) == read.into.size();
            ::io_uring_cqe_seen(&ring_, done);
            --underWay_;
            // A short read may be nothing but a signal, and an error the kernel's lack of memory: pread knows.
            out.push_back({read.id, whole || read.file->pread(read.into, read.offset)});
        }
    }

  private:
    RingQueue() = default;
    ::io_uring ring_{};
    bool open_ = false;
    std::size_t underWay_ = 0;
    std::vector<OneRead> reads_;  // [id]
    std::vector<Finished> atOnce_;
};

class ThreadQueue final : public ReadQueue {
  public:
    explicit ThreadQueue(unsigned depth) {
        try {
            while (threads_.size() < std::min(depth, kThreads)) threads_.emplace_back([this] { run(); });
        } catch (const std::system_error&) {  // fewer threads, or none: then reads happen in start()
        }
    }
    ~ThreadQueue() override {
        {
            const std::lock_guard guard(mutex_);
            closing_ = true;
        }
        wake_.notify_all();
        for (auto& thread : threads_) thread.join();
    }

    void start(std::uint32_t id, File& file, std::span<std::byte> into, std::uint64_t offset) override {
        const bool now = threads_.empty();
        const bool good = now && file.pread(into, offset);
        const std::lock_guard guard(mutex_);
        ++underWay_;
        if (now)
            finished_.push_back({id, good});
        else
            waiting_.push_back({id, &file, into, offset});
    }
    void send() override { wake_.notify_all(); }

    void reap(bool wait, std::vector<Finished>& out) override {
        std::unique_lock guard(mutex_);
        if (wait) done_.wait(guard, [&] { return !finished_.empty() || underWay_ == 0; });
        underWay_ -= finished_.size();
        out.insert(out.end(), finished_.begin(), finished_.end());
        finished_.clear();
    }

  private:
    void run() {
        std::unique_lock guard(mutex_);
        while (true) {
            wake_.wait(guard, [&] { return closing_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            const OneRead read = waiting_.front();
            waiting_.pop_front();
            guard.unlock();
            const bool good = bool(read.file->pread(read.into, read.offset));
            guard.lock();
            finished_.push_back({read.id, good});
            done_.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::deque<OneRead> waiting_;
    std::vector<Finished> finished_;
    std::size_t underWay_ = 0;  // started and not reaped
    bool closing_ = false;
    std::vector<std::thread> threads_;  // last: they use the rest
};

}  // namespace

std::unique_ptr<ReadQueue> ReadQueue::make(unsigned depth, bool ring) {
    depth = std::clamp(depth, 1u, kMaxDepth);
    if (ring)
        if (auto queue = RingQueue::tryMake(depth)) return queue;
    return std::make_unique<ThreadQueue>(depth);
}

}  // namespace carrel
