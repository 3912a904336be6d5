#pragma once

#include <carrel/events.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "tensor/kv_layout.h"

namespace carrel {

/// The KV shape of a model.
struct KvShape {
    std::uint32_t layers = 0, kvHeads = 0, headDim = 0;
    std::size_t rows() const { return std::size_t{layers} * kvHeads; }
    std::size_t groupBytes(KvCodec codec = KvCodec::F16) const { return payloadBytes(codec, headDim); }
    bool operator==(const KvShape&) const = default;
};

/// What a reading is of. Two keys that differ in anything never share KV.
struct ReadingKey {
    std::string document;  // SHA-256, hex
    std::string model;     // GgufFile::fingerprint
    std::string settings;  // RoPE, window mode, prefill mode, prompt version: "rope=neox,1e6;window;dense;prompt=1"
    KvCodec codec = KvCodec::F16;
    bool operator==(const ReadingKey&) const = default;
};

/// The KV of the ids' tokens from `first` on, a multiple of 64. `groups` whole groups, in the stream's codec: payload
/// and codes [layers, kvHeads, groups, bytes of kv_layout.h] (f16: payload alone). A last group that is not full
/// is f16 whatever the codec: unfinished [layers, kvHeads, f16 group], zero past its tokens; it is encoded when full.
/// An f16 stream counts it among payload's groups instead: payload [layers, kvHeads, ceil(tokens / 64), ...].
struct KvBatch {
    std::uint32_t first = 0;
    std::span<const std::int32_t> ids;
    std::span<const std::byte> payload, codes, unfinished;
};

/// Memory of one stored batch, laid out as in KvBatch. Parts that are empty are not wanted and not read. layers: of
/// these alone, ascending, and parts have no room for others; empty: of all.
struct KvMemory {
    std::span<std::byte> payload, codes, unfinished;
    std::span<const std::uint32_t> layers = {};
};
/// Where loaded KV goes: called once per batch, ascending. Nothing: out of memory.
using KvAllocate = std::function<std::optional<KvMemory>(std::uint32_t first, std::uint32_t tokens)>;

struct ReaderOptions {
    unsigned queueDepth = 32;
    std::size_t mostReadBytes = std::size_t{1}
                                << 20;  // of neighbours; a quarter of it per place in the queue is buffers
    bool direct = true;                 // O_DIRECT where the file system has it
    bool ring = true;                   // io_uring where the kernel allows it, else pread on a few threads
};

/// Payloads of single groups, read while the caller goes on. One thread calls. Files stay open; commits to the stream
/// may go on meanwhile, truncations may not.
class GroupReader {
  public:
    struct Done {
        std::uint64_t tag = 0;
        bool good = false;  // every group arrived and had its checksum
    };
    struct Counters {
        std::uint64_t bytesRead = 0, reads = 0;  // from disk, as read: whole sectors, still compressed
    };
    virtual ~GroupReader() = default;
    /// Whole groups [group, group + count) of one layer and KV head, in the stream's codec, decompressed into `into`
    /// [count, groupBytes(codec)], which stays valid until the tag is reaped. Neighbours on disk are read at once, up
    /// to mostReadBytes. More than queueDepth reads wait inside.
    virtual void submit(std::uint64_t tag, std::uint32_t layer, std::uint32_t head, std::uint32_t group,
                        std::uint32_t count, std::span<std::byte> into) = 0;
    /// What has completed since the last call; waits until there are `atLeast` where so many are under way.
    virtual std::vector<Done> reap(std::size_t atLeast) = 0;
    virtual Counters counters() const = 0;
    /// Memory for buffers, at their most, and the directory of groups; only commits make it more.
    virtual std::uint64_t memoryBytes() const = 0;
};

/// What a stream's bytes on disk are: all of them, allocation to whole pages included.
struct DiskBytes {
    std::uint64_t keysValues = 0, sketch = 0, headers = 0;
    std::uint64_t all() const { return keysValues + sketch + headers; }
};

/// One stream of KV on disk: a reading, or a chat's tail on top of one. Append-only segments, checksums per group, a
/// sketch file, and an index row that makes each commit visible (order and bytes: FORMAT.md). Holds the reading's
/// writer lock. Not thread-safe. Every position, KvBatch::first included, counts from the reading's first token, in a
/// tail too.
class KvStream {
  public:
    virtual ~KvStream() = default;
    virtual std::uint32_t tokens() const = 0;  // past the last committed one: firstToken() + ids().size()
    virtual const std::vector<std::int32_t>& ids() const = 0;  // of the committed tokens, from the stream's first
    virtual std::uint32_t firstToken() const = 0;              // 0 for a reading; for a tail a multiple of 64
    virtual DiskBytes diskBytes() const = 0;

    /// Appends and makes durable: extents and sketch, fdatasync, then the row. batch.first is tokens() rounded down to
    /// 64 (a group that was not full is written anew) or any earlier multiple of 64 (what followed is dropped). At most
    /// 65,536 tokens. On failure the stream stays as it was, and a later commit may succeed. DiskFull (need and have in
    /// detail), Io, InvalidArgument; NotFound when the stream was forgotten meanwhile.
    virtual Status commit(const KvBatch& batch) = 0;
    /// Drops what lies at and after `tokens` (a multiple of 64): rows first.
    virtual Status truncate(std::uint32_t tokens) = 0;
    /// Reads what is committed, as far as it is wanted, and checks every checksum. Returns the token (multiple of 64)
    /// from which on KV is bad and must be made again, or tokens() when all is well; what could not be read is bad too,
    /// and memory from there on holds anything. All batches are allocated before any is read. NoMemory. Reads with a
    /// few threads of its own; calls allocate on the caller's.
    virtual Result<std::uint32_t> load(const KvAllocate& allocate) = 0;
    /// Of what is committed now and of what commits add. The stream must outlive it. What is damaged is there and never
    /// good.
    virtual Result<std::unique_ptr<GroupReader>> reader(ReaderOptions options) = 0;
    /// Checks every byte that matters: headers, groups, sketch. As load(), into nothing.
    struct Check {
        std::uint64_t groups = 0, bad = 0;  // of every layer and KV head; all of a batch where its sketch is bad
        std::uint32_t good = 0;             // the token (multiple of 64) from which on something is bad, or tokens()
    };
    virtual Result<Check> verify() = 0;
    /// A few bytes (at most 4 KiB) kept beside the stream, for the tokens it has now; more or fewer tokens, and there
    /// is no note. NotFound, Corrupt.
    virtual Status keepNote(std::span<const std::byte> bytes) = 0;
    virtual Result<std::vector<std::byte>> note() = 0;
};

/// When a reading was used last, and what it came to by then.
struct ReadingUse {
    std::int64_t at = 0;    // seconds since 1970; of one that was never said to be used: now
    Coverage coverage;      // totals are 0 where that is not known
    bool complete = false;  // all that fits the window is read
};

struct StreamInfo {
    std::string id;
    ReadingKey key;
    std::uint32_t tokens = 0;
    std::uint64_t diskBytes = 0;  // tails included: what forgetting it would free
    ReadingUse use;
};

/// Bytes that so many tokens take on disk at most, in batches of two groups (larger ones take less).
std::uint64_t mostStoredBytes(KvShape shape, KvCodec codec, std::uint32_t tokens);

struct StoreLimits {
    std::uint64_t segmentBytes = std::uint64_t{1} << 30;  // a commit past this size starts a new segment file
    std::uint64_t reserveBytes = std::uint64_t{64}
                                 << 20;  // never used by a commit: room for the index, the library and everybody else
    bool compress = true;                // payloads and sketches with zstd, where it saves at least 15 %
};

/// All readings under a data root: `readings/index.sqlite` and `readings/<id>/`. One connection; not thread-safe, its
/// streams included.
class ReadingStore {
  public:
    /// Makes what is missing, and makes the index anew from the segments where it is missing or damaged (the damaged
    /// one is kept aside). Sweeps orphan files of readings that nobody holds. Unsupported: a newer Carrel wrote the
    /// index. NoPermission, DiskFull, Io. files must outlive the store and its streams; streams may outlive the store.
    static Result<std::unique_ptr<ReadingStore>> open(FileSystem& files, const std::filesystem::path& dataDir,
                                                      StoreLimits limits = {});
    virtual ~ReadingStore() = default;

    /// The reading with this key, made when there is none, and its writer lock. Busy when another process, or another
    /// handle of this one, holds it.
    virtual Result<std::unique_ptr<KvStream>> openReading(const ReadingKey& key, KvShape shape) = 0;
    /// The tail `name` on top of an open reading of this store, made when there is none. firstToken: a multiple of 64
    /// up to reading.tokens(), where a new tail would start (an existing one that starts elsewhere, or follows other
    /// ids, is dropped). f16 whatever the reading's codec. Shares the reading's lock. One handle per tail at a time.
    virtual Result<std::unique_ptr<KvStream>> openTail(const KvStream& reading, const std::string& name,
                                                       std::uint32_t firstToken) = 0;
    /// Readings of a document (all models), from rows alone; an empty name: of every document. Any number of processes
    /// may look.
    virtual Result<std::vector<StreamInfo>> readingsOf(const std::string& document) = 0;
    /// Says that an open reading of this store is in use.
    virtual Status used(const KvStream& reading, const ReadingUse& use) = 0;
    /// Row first, then files; tails too. Busy while it is open anywhere.
    virtual Status forgetReading(const std::string& id) = 0;
    /// Rows first, then files; tails too. Busy, and nothing is gone, while one of the document's readings is open
    /// anywhere.
    virtual Status forgetDocument(const std::string& document) = 0;
    /// The tails of this name, of every reading. Works while this store has the reading open; Busy when another process
    /// has.
    virtual Status forgetTail(const std::string& name) = 0;
};

}  // namespace carrel
