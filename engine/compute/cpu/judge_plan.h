#pragma once

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/cpu/judge.h"
#include "compute/cpu/scratch.h"
#include "compute/registry.h"

namespace carrel {

/// Backend::judge on the thread pool. Holds the scratch; one caller at a time.
class Judgement {
  public:
    Judgement(Isa isa, ThreadPool& pool) : isa_(isa), pool_(pool) {}
    void run(const JudgeArgs& args);

  private:
    struct Memory {                      // laid out in one scratch
        float *q, *above, *below;        // [nKvHeads, rows, headDim]
        float* exact;                    // [nKvHeads, rows]
        float *layerAbove, *layerBelow;  // [nTokens, nKvHeads, headDim]
        std::int16_t* scores;            // of every thread's or of every bundle: [groups, rows, 64]
        float* sums;                     // of the same: [parts, rows]
        float* whole;                    // [threads, heads of a KV head]
        std::byte* lanes;                // [threads, lanesBytes_]
    };
    struct Bundle {  // some sequences and one KV head
        std::size_t kvHead, firstToken, tokens;
        JudgeRows rows;
        std::int16_t* scores;
        float* sums;
    };
    Memory layout(Carver& carver) const;
    void prepare(const JudgeArgs& args) const;
    Bundle bundleAt(std::size_t i, std::size_t memory) const;
    void scan(const JudgeArgs& args, std::size_t slot, const Bundle& bundle, std::size_t part) const;
    void choose(const JudgeArgs& args, std::size_t slot, const Bundle& bundle) const;
    void chooseOnePerLayer(const JudgeArgs& args, std::size_t token) const;

    Isa isa_;
    ThreadPool& pool_;
    Scratch memory_;
    Memory at_{};
    std::size_t tokens_ = 0, kvHeads_ = 0, group_ = 0, rows_ = 0, headDim_ = 0;
    std::size_t firstGroup_ = 0, groups_ = 0, parts_ = 0, lanesBytes_ = 0;
    std::size_t bundleTokens_ = 1, bundles_ = 0;
    bool units_ = false, sharesParts_ = false;
};

}  // namespace carrel
