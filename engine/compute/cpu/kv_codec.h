#pragma once

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/registry.h"

namespace carrel {

/// Backend::encode and Backend::unpack on the thread pool. The bytes, beyond kv_layout.h, for every backend to repeat:
/// least is the least input, exactly; step the least f16 with which the greatest code reaches the greatest input (V8
/// and mean values: the greatest size in 127 steps); code = (x - least) / step in f32, each operation rounded, then to
/// nearest even; 0 where step is 0. Mean keys round halves up; mean values add decoded values in f32, token by token.
/// Nan counts as 0, infinity as the greatest f16.
class KvCodecs {
  public:
    KvCodecs(Isa isa, ThreadPool& pool) : isa_(isa), pool_(pool) {}
    void encode(KvCodec codec, std::size_t headDim, std::span<const EncodeGroup> groups);
    void unpack(KvCodec codec, std::size_t headDim, std::span<const UnpackLeaf> leaves);

  private:
    Isa isa_;
    ThreadPool& pool_;
};

}  // namespace carrel
