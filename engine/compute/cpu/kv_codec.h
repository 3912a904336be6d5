#pragma once

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/registry.h"

namespace carrel {

/// Backend::encode, unpack and means on the thread pool. The bytes, beyond kv_layout.h, for every backend to repeat:
/// least is the least input, exactly; step the least f16 with which the greatest code reaches the greatest input (V8
/// and mean values: the greatest size in 127 steps, V6: in 31); code = (x - least) / step in f32, each operation
/// rounded, then to nearest even; 0 where step is 0. V4: step is the least of its kind that has the range in 15.5 steps
/// and the middle at most 24 steps from 0; least, in half steps, is (least input + greatest) / step - 15 in f32, then
/// to nearest even, and no less than f16 goes; the code is bounded by 0 and 15 before it is rounded. So no value is
/// more than half a step away, though the range is longer than 15 steps. Mean keys round halves up; mean values add
/// decoded values in f32, token by token. Nan counts as 0, infinity as the greatest f16.
class KvCodecs {
  public:
    KvCodecs(Isa isa, ThreadPool& pool) : isa_(isa), pool_(pool) {}
    void encode(KvCodec codec, std::size_t headDim, std::span<const EncodeGroup> groups);
    void unpack(KvCodec codec, std::size_t headDim, std::span<const UnpackLeaf> leaves);
    void means(KvCodec codec, std::size_t headDim, std::span<const GroupMeans> groups);

  private:
    Isa isa_;
    ThreadPool& pool_;
};

}  // namespace carrel
