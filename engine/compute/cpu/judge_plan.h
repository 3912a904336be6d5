#pragma once

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/cpu/scratch.h"
#include "compute/registry.h"

namespace carrel {

/// Backend::judge on the thread pool. Holds the scratch; one caller at a time.
class Judgement {
  public:
    Judgement(Isa isa, ThreadPool& pool) : isa_(isa), pool_(pool) {}
    void run(const JudgeArgs& args);

  private:
    Isa isa_;
    ThreadPool& pool_;
    Scratch memory_;
};

}  // namespace carrel
