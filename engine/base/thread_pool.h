#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace carrel {

/// A fixed set of threads for parallelFor; passed in, never global. Workers spin for a short while and then park.
class ThreadPool {
  public:
    explicit ThreadPool(unsigned threads);  // 0: one per core; the calling thread counts as one of them
    ~ThreadPool();
    unsigned size() const;

    /// Calls work(index) for every index in [0, count), each once, in no order; returns when all are done.
    /// One caller at a time. What a result depends on must not depend on which thread computes it.
    void parallelFor(std::size_t count, const std::function<void(std::size_t)>& work);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace carrel
