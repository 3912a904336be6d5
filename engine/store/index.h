#pragma once

#include <functional>
#include <optional>

#include "base/sqlite.h"
#include "store/format.h"

namespace carrel {

struct ReadingRow {
    std::string id;
    ReadingKey key;
    KvShape shape;
};

struct StreamRow {
    std::int64_t id = 0;
    std::string name;  // of a tail; empty: the reading itself
    std::uint32_t firstToken = 0;
    std::uint64_t prefixChain = 0;
};

/// One visible batch. tokens <= storedTokens: a truncation may have cut it, at a multiple of 64.
struct BatchRow {
    std::uint32_t first = 0, tokens = 0, storedTokens = 0, segment = 0;
    std::uint64_t offset = 0, bytes = 0, sketchOffset = 0, sketchBytes = 0, checksum = 0;
    std::uint32_t end() const { return first + tokens; }
};

/// readings/index.sqlite: what is visible. One connection; not thread-safe; any number of processes. Errors are
/// SqlDatabase's.
class Index {
  public:
    /// A missing file is made, `fill` puts what is found on disk into it (one transaction: all or nothing). One that is
    /// no database or is damaged is moved to index.sqlite.bad-<n> first. Unsupported: a newer Carrel made it.
    static Result<std::unique_ptr<Index>> open(const std::filesystem::path& file,
                                               const std::function<Status(Index&)>& fill);

    Result<std::optional<ReadingRow>> reading(const std::string& id);
    /// Ids of all readings, with the format that wrote each.
    Result<std::vector<std::pair<std::string, std::int64_t>>> formats();
    Status addReading(const ReadingRow& row);
    Status removeReading(const std::string& id);  // with its streams and batches

    Result<std::vector<StreamRow>> streams(const std::string& reading);
    /// Ids are never used twice.
    Result<std::int64_t> addStream(const std::string& reading, const StreamRow& row);
    Status removeStream(std::int64_t id);

    Result<std::vector<BatchRow>> batches(std::int64_t stream);  // ascending
    Status addBatch(std::int64_t stream, const BatchRow& row);
    /// In one transaction: drops what lies at and after `from`, then makes `added` visible where given. NotFound: the
    /// stream was forgotten.
    Status replaceFrom(std::int64_t stream, std::uint32_t from, const BatchRow* added);

    Status setUse(const std::string& reading, const ReadingUse& use);
    Result<std::vector<StreamInfo>> readingsOf(const std::string& document);  // of this format; empty: of all documents
    Result<std::vector<std::string>> idsOf(const std::string& document);      // of any
    /// Readings with a tail of this name.
    Result<std::vector<std::string>> readingsWithTail(const std::string& name);

  private:
    explicit Index(SqlDatabase db) : db_(std::move(db)) {}
    static Result<std::unique_ptr<Index>> tryOpen(const std::filesystem::path& file,
                                                  const std::function<Status(Index&)>& fill);
    SqlDatabase db_;
};

}  // namespace carrel
