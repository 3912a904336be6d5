#pragma once

#include <memory>
#include <vector>

#include "base/file.h"

namespace carrel {

/// Reads under way. One thread calls.
class ReadQueue {
  public:
    struct Finished {
        std::uint32_t id = 0;
        bool good = false;  // all bytes arrived
    };
    /// With io_uring where it is wanted and the kernel allows it; else, or where memory is short, with pread on a few
    /// threads.
    static std::unique_ptr<ReadQueue> make(unsigned depth, bool ring);
    /// Waits for what is under way.
    virtual ~ReadQueue() = default;

    /// At most `depth` at a time. `file` and `into` stay until it has finished; a ring needs files with a descriptor.
    virtual void start(std::uint32_t id, File& file, std::span<std::byte> into, std::uint64_t offset) = 0;
    /// Sends what was started.
    virtual void send() = 0;
    /// Appends what has finished to `out`; waits for one where `wait` and one is under way.
    virtual void reap(bool wait, std::vector<Finished>& out) = 0;
};

}  // namespace carrel
