#include "library/schema.h"

#include <string>

namespace carrel {

namespace {

// States are the numbers of DocumentState and TurnState. Orders are counters: seconds would tie.
// Windows have their text in windows_fts, under the same rowid; encrypted documents have no windows and no quotes.
const char* const kVersion1 = R"(
CREATE TABLE documents(
  sha256 TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  original_path TEXT NOT NULL,
  pages INTEGER NOT NULL DEFAULT 0,
  file_bytes INTEGER NOT NULL DEFAULT 0,
  text_bytes INTEGER NOT NULL DEFAULT 0,
  state INTEGER NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  encrypted INTEGER NOT NULL DEFAULT 0,
  pages_without_text BLOB,            -- u32 each, from 1
  added_at INTEGER NOT NULL,
  opened_at INTEGER NOT NULL,
  opened_order INTEGER NOT NULL
);
CREATE TABLE chats(
  ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  document TEXT NOT NULL REFERENCES documents ON DELETE CASCADE,
  title TEXT NOT NULL DEFAULT '',
  draft TEXT NOT NULL DEFAULT '',
  created_at INTEGER NOT NULL
);
CREATE INDEX chats_of_document ON chats(document);
CREATE TABLE turns(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  chat TEXT NOT NULL REFERENCES chats(id) ON DELETE CASCADE,
  question TEXT NOT NULL,
  answer TEXT NOT NULL DEFAULT '',
  state INTEGER NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  pages_read INTEGER NOT NULL DEFAULT 0,
  pages_total INTEGER NOT NULL DEFAULT 0,
  tokens_read INTEGER NOT NULL DEFAULT 0,
  tokens_total INTEGER NOT NULL DEFAULT 0,
  asked_at INTEGER NOT NULL
);
CREATE INDEX turns_of_chat ON turns(chat);
CREATE TABLE sources(
  turn INTEGER NOT NULL REFERENCES turns ON DELETE CASCADE,
  rank INTEGER NOT NULL,
  place TEXT NOT NULL,
  page INTEGER NOT NULL,
  first INTEGER NOT NULL,
  count INTEGER NOT NULL,
  quote TEXT NOT NULL,
  boxes BLOB,                         -- f32 x, y, width, height each
  share REAL NOT NULL,
  PRIMARY KEY(turn, rank)
) WITHOUT ROWID;
CREATE TABLE windows(
  id INTEGER PRIMARY KEY,
  document TEXT NOT NULL REFERENCES documents ON DELETE CASCADE,
  place TEXT NOT NULL,
  page INTEGER NOT NULL,
  first INTEGER NOT NULL,
  count INTEGER NOT NULL
);
CREATE INDEX windows_of_document ON windows(document);
CREATE VIRTUAL TABLE windows_fts USING fts5(text, tokenize='porter unicode61 remove_diacritics 2');
)";

// What an answer's heat strip and coverage line say. provenance is the number of Provenance.
const char* const kVersion2 = R"(
ALTER TABLE turns ADD COLUMN provenance INTEGER NOT NULL DEFAULT 0;
ALTER TABLE turns ADD COLUMN goes_on INTEGER NOT NULL DEFAULT 0;
ALTER TABLE turns ADD COLUMN dropped_turns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE turns ADD COLUMN page_shares BLOB;   -- f32 each; none: not known
)";

const char* const kSteps[] = {kVersion1, kVersion2};

Result<bool> holdsSomething(SqlDatabase& db) {
    auto count = db.prepare("SELECT count(*) FROM sqlite_master");
    if (!count) return count.error();
    const auto row = count->step();
    if (!row) return row.error();
    return count->integer(0) > 0;
}

Status backUp(SqlDatabase& db, const std::filesystem::path& file, std::int64_t version) {
    const std::filesystem::path backup = file.string() + ".v" + std::to_string(version) + "-backup";
    const std::filesystem::path half = backup.string() + ".new";
    std::error_code failure;
    std::filesystem::remove(half, failure);  // of a copy that was cut short; VACUUM INTO wants no file there
    auto copy = db.prepare("VACUUM INTO ?");
    if (!copy) return copy.error();
    if (auto copied = copy->bind(1, half.string()).run(); !copied) {
        std::filesystem::remove(half, failure);
        return copied.error();
    }
    std::filesystem::rename(half, backup, failure);
    if (failure) return Error{Code::Io, backup.string(), failure.message()};
    return {};
}

}  // namespace

std::span<const char* const> librarySchema() {
    return kSteps;
}

Status migrate(SqlDatabase& db, const std::filesystem::path& file, std::span<const char* const> steps) {
    const auto newest = static_cast<std::int64_t>(steps.size());
    const auto before = db.userVersion();
    if (!before) return before.error();
    if (*before >= newest) return {};

    const auto full = holdsSomething(db);
    if (!full) return full.error();
    if (*full) {
        if (auto kept = backUp(db, file, *before); !kept) return kept;
    }
    auto transaction = SqlTransaction::begin(db);
    if (!transaction) return transaction.error();
    const auto version = db.userVersion();  // again: another process may have been faster
    if (!version) return version.error();
    for (std::int64_t step = *version; step < newest; ++step) {
        if (auto done = db.exec(steps[static_cast<std::size_t>(step)]); !done) return done;
    }
    if (*version < newest) {
        if (auto set = db.exec("PRAGMA user_version=" + std::to_string(newest)); !set) return set;
    }
    return transaction->commit();
}

}  // namespace carrel
