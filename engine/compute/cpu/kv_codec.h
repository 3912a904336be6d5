#pragma once

#include "base/thread_pool.h"
#include "compute/backend.h"
#include "compute/registry.h"

namespace carrel {

/// Backend::encode and Backend::unpack on the thread pool.
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
