#include "store/index.h"

#include <chrono>
#include <system_error>
#include <thread>

#include "base/file.h"

namespace carrel {

namespace {

constexpr std::int64_t kSchemaVersion = 2;
constexpr int kOpeningTries = 500;  // 10 s: making the index of a large library anew reads all its headers

// readings.format is kStoreFormat: a reading that another format wrote is another reading. extents: one row per batch
// (an extent of every layer, side by side); what has no row is not there. u64 columns hold the same 64 bits, signed.
constexpr const char* kSchema = R"(
CREATE TABLE readings (
  id TEXT PRIMARY KEY, document TEXT NOT NULL, model TEXT NOT NULL, settings TEXT NOT NULL, codec TEXT NOT NULL,
  format INTEGER NOT NULL, layers INTEGER NOT NULL, kv_heads INTEGER NOT NULL, head_dim INTEGER NOT NULL
) STRICT;
CREATE INDEX readings_document ON readings(document);
CREATE TABLE streams (
  id INTEGER PRIMARY KEY AUTOINCREMENT, reading TEXT NOT NULL REFERENCES readings(id) ON DELETE CASCADE,
  name TEXT NOT NULL, first_token INTEGER NOT NULL, prefix_chain INTEGER NOT NULL, UNIQUE(reading, name)
) STRICT;
CREATE TABLE extents (
  stream INTEGER NOT NULL REFERENCES streams(id) ON DELETE CASCADE, first INTEGER NOT NULL, tokens INTEGER NOT NULL,
  stored_tokens INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL, bytes INTEGER NOT NULL,
  sketch_offset INTEGER NOT NULL, sketch_bytes INTEGER NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY(stream, first)
) STRICT, WITHOUT ROWID;
)";
// Since version 2. What has no row was never said to be used: it counts as used now, so that nobody evicts it unseen.
constexpr const char* kUses = R"(
CREATE TABLE uses (
  reading TEXT PRIMARY KEY REFERENCES readings(id) ON DELETE CASCADE, used_at INTEGER NOT NULL,
  tokens_read INTEGER NOT NULL DEFAULT 0, tokens_total INTEGER NOT NULL DEFAULT 0,
  pages_read INTEGER NOT NULL DEFAULT 0, pages_total INTEGER NOT NULL DEFAULT 0, complete INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
)";
constexpr const char* kReadingColumns =
    "SELECT id, document, model, settings, codec, layers, kv_heads, head_dim FROM readings ";

std::int64_t signedOf(std::uint64_t bits) {
    return static_cast<std::int64_t>(bits);
}
std::uint64_t bitsOf(std::int64_t value) {
    return static_cast<std::uint64_t>(value);
}
std::uint32_t smallOf(const SqlStatement& row, int column) {
    return static_cast<std::uint32_t>(row.integer(column));
}

/// Nothing where the codec is none that this format knows.
std::optional<ReadingRow> readingOf(const SqlStatement& row) {
    const auto codec = codecNamed(row.text(4));
    if (!codec) return std::nullopt;
    return ReadingRow{row.text(0),
                      {row.text(1), row.text(2), row.text(3), *codec},
                      {smallOf(row, 5), smallOf(row, 6), smallOf(row, 7)}};
}

/// Calls take(statement) for every row.
template <class Take>
Status forEachRow(SqlStatement& statement, const Take& take) {
    while (true) {
        const auto row = statement.step();
        if (!row) return row.error();
        if (!*row) return {};
        take(statement);
    }
}

Status checkWhole(SqlDatabase& db, const std::string& where) {
    auto check = db.prepare("PRAGMA quick_check(1)");
    if (!check) return check.error();
    const auto row = check->step();
    if (!row) return row.error();
    if (!*row || check->text(0) != "ok")
        return Error{Code::Corrupt, where, *row ? check->text(0) : "no answer to quick_check"};
    return {};
}

Result<bool> knows(SqlDatabase& db, std::int64_t stream) {
    auto select = db.prepare("SELECT 1 FROM streams WHERE id = ?1");
    if (!select) return select.error();
    return select->bind(1, stream).step();
}

/// A flipped bit in a column's name is a whole database to SQLite: four tables and one index have our text, exactly.
Status checkSchema(SqlDatabase& db, const std::string& where) {
    auto select = db.prepare("SELECT count(*) FROM sqlite_schema WHERE instr(?1, sql) > 0");
    if (!select) return select.error();
    const auto row = select->bind(1, std::string(kSchema) + kUses).step();
    if (!row) return row.error();
    if (!*row || select->integer(0) != 5) return Error{Code::Corrupt, where, "tables of another schema"};
    return {};
}

/// Lifts an index to version 2: what is there counts as used now.
Status addUses(SqlDatabase& db) {
    return db.exec(std::string(kUses) +
                   "INSERT INTO uses(reading, used_at) SELECT id, CAST(strftime('%s', 'now') AS INTEGER) FROM readings;"
                   "PRAGMA user_version = " +
                   std::to_string(kSchemaVersion));
}

/// Held until the file is closed.
Result<std::unique_ptr<File>> lockForOpening(const std::filesystem::path& index) {
    auto file = realFileSystem().open(index.string() + ".lock", OpenMode::Create);
    if (!file) return file;
    auto locked = (*file)->lock();
    for (int waited = 0; !locked && locked.error().code == Code::Busy && waited < kOpeningTries; ++waited) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        locked = (*file)->lock();
    }
    if (!locked) return locked.error();
    return file;
}

/// The damaged file and what belongs to it, under the first free name: nothing that might still tell something is
/// deleted.
Status moveAside(const std::filesystem::path& file) {
    std::error_code failed;
    std::string bad;
    for (int n = 1; bad.empty(); ++n)
        if (const auto name = file.string() + ".bad-" + std::to_string(n); !std::filesystem::exists(name, failed))
            bad = name;
    for (const char* suffix : {"-wal", "-shm", ""}) {
        if (!std::filesystem::exists(file.string() + suffix, failed)) continue;
        std::filesystem::rename(file.string() + suffix, bad + suffix, failed);
        if (failed) return systemError(failed.value(), file.string() + suffix);
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Index>> Index::open(const std::filesystem::path& file,
                                           const std::function<Status(Index&)>& fill) {
    // One at a time: who has a damaged one open while another moves it aside may move, or spoil, the new one.
    const auto alone = lockForOpening(file);
    if (!alone) return alone.error();
    auto index = tryOpen(file, fill);
    if (index || index.error().code != Code::Corrupt) return index;
    if (auto s = moveAside(file); !s) return s.error();
    return tryOpen(file, fill);
}

Result<std::unique_ptr<Index>> Index::tryOpen(const std::filesystem::path& file,
                                              const std::function<Status(Index&)>& fill) {
    auto db = SqlDatabase::open(file);
    if (!db) return db.error();
    if (auto s = checkWhole(*db, file.string()); !s) return s.error();
    std::unique_ptr<Index> index(new Index(std::move(*db)));
    auto version = index->db_.userVersion();
    if (!version) return version.error();
    if (*version == 0) {
        auto transaction = SqlTransaction::begin(index->db_);
        if (!transaction) return transaction.error();
        version = index->db_.userVersion();  // another process may have been faster
        if (!version) return version.error();
        if (*version == 0) {
            if (auto s = index->db_.exec(kSchema); !s && s.error().code != Code::Internal)
                return s.error();
            else if (!s)
                return Error{Code::Corrupt, file.string(),
                             s.error().detail};  // there are tables already, but no version
            if (auto s = fill(*index); !s) return s.error();
            if (auto s = addUses(index->db_); !s) return s.error();
            if (auto s = transaction->commit(); !s) return s.error();
            return index;
        }
    }
    if (*version == 1) {  // nobody else is opening it: lockForOpening
        auto transaction = SqlTransaction::begin(index->db_);
        if (!transaction) return transaction.error();
        if (auto s = addUses(index->db_); !s && s.error().code != Code::Internal)
            return s.error();
        else if (!s)
            return Error{Code::Corrupt, file.string(),
                         s.error().detail};  // the table is there, the version says it is not
        if (auto s = transaction->commit(); !s) return s.error();
    }
    if (*version > kSchemaVersion)
        return Error{Code::Unsupported, file.string(),
                     "made by a newer Carrel (version " + std::to_string(*version) + ")"};
    if (auto s = checkSchema(index->db_, file.string()); !s) return s.error();
    return index;
}

Result<std::optional<ReadingRow>> Index::reading(const std::string& id) {
    auto select = db_.prepare(std::string(kReadingColumns) + "WHERE id = ?1 AND format = ?2");
    if (!select) return select.error();
    std::optional<ReadingRow> found;
    auto done = forEachRow(select->bind(1, id).bind(2, std::int64_t{kStoreFormat}),
                           [&](const SqlStatement& row) { found = readingOf(row); });
    if (!done) return done.error();
    return found;
}

Result<std::vector<std::pair<std::string, std::int64_t>>> Index::formats() {
    auto select = db_.prepare("SELECT id, format FROM readings");
    if (!select) return select.error();
    std::vector<std::pair<std::string, std::int64_t>> rows;
    auto done = forEachRow(*select, [&](const SqlStatement& row) { rows.emplace_back(row.text(0), row.integer(1)); });
    if (!done) return done.error();
    return rows;
}

Status Index::addReading(const ReadingRow& row) {
    auto insert = db_.prepare("INSERT INTO readings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    if (!insert) return insert.error();
    insert->bind(1, row.id)
        .bind(2, row.key.document)
        .bind(3, row.key.model)
        .bind(4, row.key.settings)
        .bind(5, codecName(row.key.codec));
    insert->bind(6, std::int64_t{kStoreFormat}).bind(7, std::int64_t{row.shape.layers});
    return insert->bind(8, std::int64_t{row.shape.kvHeads}).bind(9, std::int64_t{row.shape.headDim}).run();
}

Status Index::removeReading(const std::string& id) {
    auto remove = db_.prepare("DELETE FROM readings WHERE id = ?1");
    if (!remove) return remove.error();
    return remove->bind(1, id).run();
}

Result<std::vector<StreamRow>> Index::streams(const std::string& reading) {
    auto select = db_.prepare("SELECT id, name, first_token, prefix_chain FROM streams WHERE reading = ?1 ORDER BY id");
    if (!select) return select.error();
    std::vector<StreamRow> rows;
    auto done = forEachRow(select->bind(1, reading), [&](const SqlStatement& row) {
        rows.push_back({row.integer(0), row.text(1), smallOf(row, 2), bitsOf(row.integer(3))});
    });
    if (!done) return done.error();
    return rows;
}

Result<std::int64_t> Index::addStream(const std::string& reading, const StreamRow& row) {
    auto insert = db_.prepare("INSERT INTO streams(reading, name, first_token, prefix_chain) VALUES (?1, ?2, ?3, ?4)");
    if (!insert) return insert.error();
    insert->bind(1, reading).bind(2, row.name).bind(3, std::int64_t{row.firstToken}).bind(4, signedOf(row.prefixChain));
    if (auto s = insert->run(); !s) return s.error();
    return db_.lastInsertId();
}

Status Index::removeStream(std::int64_t id) {
    auto remove = db_.prepare("DELETE FROM streams WHERE id = ?1");
    if (!remove) return remove.error();
    return remove->bind(1, id).run();
}

Result<std::vector<BatchRow>> Index::batches(std::int64_t stream) {
    auto select = db_.prepare(
        "SELECT first, tokens, stored_tokens, segment, offset, bytes, sketch_offset, sketch_bytes, checksum FROM "
        "extents WHERE stream = ?1 "
        "ORDER BY first");
    if (!select) return select.error();
    std::vector<BatchRow> rows;
    auto done = forEachRow(select->bind(1, stream), [&](const SqlStatement& row) {
        rows.push_back({smallOf(row, 0), smallOf(row, 1), smallOf(row, 2), smallOf(row, 3), bitsOf(row.integer(4)),
                        bitsOf(row.integer(5)), bitsOf(row.integer(6)), bitsOf(row.integer(7)),
                        bitsOf(row.integer(8))});
    });
    if (!done) return done.error();
    return rows;
}

Status Index::addBatch(std::int64_t stream, const BatchRow& row) {
    auto insert = db_.prepare("INSERT INTO extents VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    if (!insert) return insert.error();
    insert->bind(1, stream)
        .bind(2, std::int64_t{row.first})
        .bind(3, std::int64_t{row.tokens})
        .bind(4, std::int64_t{row.storedTokens});
    insert->bind(5, std::int64_t{row.segment}).bind(6, signedOf(row.offset)).bind(7, signedOf(row.bytes));
    return insert->bind(8, signedOf(row.sketchOffset))
        .bind(9, signedOf(row.sketchBytes))
        .bind(10, signedOf(row.checksum))
        .run();
}

Status Index::replaceFrom(std::int64_t stream, std::uint32_t from, const BatchRow* added) {
    auto transaction = SqlTransaction::begin(db_);
    if (!transaction) return transaction.error();
    const auto known = knows(db_, stream);
    if (!known) return known.error();
    if (!*known) return Error{Code::NotFound, "stream " + std::to_string(stream), "it was forgotten"};
    for (const char* sql : {"DELETE FROM extents WHERE stream = ?1 AND first >= ?2",
                            "UPDATE extents SET tokens = ?2 - first WHERE stream = ?1 AND first + tokens > ?2"}) {
        auto change = db_.prepare(sql);
        if (!change) return change.error();
        if (auto s = change->bind(1, stream).bind(2, std::int64_t{from}).run(); !s) return s;
    }
    if (added != nullptr)
        if (auto s = addBatch(stream, *added); !s) return s;
    return transaction->commit();
}

Status Index::setUse(const std::string& reading, const ReadingUse& use) {
    auto put = db_.prepare("INSERT OR REPLACE INTO uses VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    if (!put) return put.error();
    const Coverage& c = use.coverage;
    put->bind(1, reading).bind(2, use.at).bind(3, signedOf(c.tokensRead)).bind(4, signedOf(c.tokensTotal));
    put->bind(5, std::int64_t{c.pagesRead}).bind(6, std::int64_t{c.pagesTotal});
    return put->bind(7, std::int64_t{use.complete}).run();
}

Result<std::vector<StreamInfo>> Index::readingsOf(const std::string& document) {
    // A stream's files end with the last visible byte; pages are what a file system gives out.
    auto select = db_.prepare(R"(
        SELECT r.id, r.document, r.model, r.settings, r.codec, r.layers, r.kv_heads, r.head_dim,
               (SELECT ifnull(max(e.first + e.tokens), 0) FROM extents e JOIN streams s ON s.id = e.stream WHERE s.reading = r.id AND s.name = ''),
               (SELECT ifnull(sum(bytes), 0) FROM (SELECT max(e.offset + e.bytes) AS bytes FROM extents e JOIN streams s ON s.id = e.stream
                                                   WHERE s.reading = r.id GROUP BY e.stream, e.segment)),
               (SELECT ifnull(sum(bytes), 0) FROM (SELECT (max(e.sketch_offset + e.sketch_bytes) + 4095) / 4096 * 4096 AS bytes
                                                   FROM extents e JOIN streams s ON s.id = e.stream WHERE s.reading = r.id GROUP BY e.stream)),
               ifnull(u.used_at, CAST(strftime('%s', 'now') AS INTEGER)), ifnull(u.pages_read, 0), ifnull(u.pages_total, 0),
               ifnull(u.tokens_read, 0), ifnull(u.tokens_total, 0), ifnull(u.complete, 0)
        FROM readings r LEFT JOIN uses u ON u.reading = r.id
        WHERE (?1 = '' OR r.document = ?1) AND r.format = ?2 ORDER BY r.id)");
    if (!select) return select.error();
    std::vector<StreamInfo> found;
    auto done = forEachRow(select->bind(1, document).bind(2, std::int64_t{kStoreFormat}), [&](const SqlStatement& row) {
        if (const auto reading = readingOf(row))
            found.push_back({reading->id,
                             reading->key,
                             smallOf(row, 8),
                             bitsOf(row.integer(9)) + bitsOf(row.integer(10)),
                             {row.integer(11),
                              {smallOf(row, 12), smallOf(row, 13), bitsOf(row.integer(14)), bitsOf(row.integer(15))},
                              row.integer(16) != 0}});
    });
    if (!done) return done.error();
    return found;
}

Result<std::vector<std::string>> Index::idsOf(const std::string& document) {
    auto select = db_.prepare("SELECT id FROM readings WHERE document = ?1");
    if (!select) return select.error();
    std::vector<std::string> ids;
    auto done = forEachRow(select->bind(1, document), [&](const SqlStatement& row) { ids.push_back(row.text(0)); });
    if (!done) return done.error();
    return ids;
}

Result<std::vector<std::string>> Index::readingsWithTail(const std::string& name) {
    auto select = db_.prepare("SELECT reading FROM streams WHERE name = ?1");
    if (!select) return select.error();
    std::vector<std::string> ids;
    if (auto s = forEachRow(select->bind(1, name), [&](const SqlStatement& row) { ids.push_back(row.text(0)); }); !s)
        return s.error();
    return ids;
}

}  // namespace carrel
