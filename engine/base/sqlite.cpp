#include "base/sqlite.h"

#include <sqlite3.h>

#include <cassert>

namespace carrel {

namespace {

Error sqlError(sqlite3* db, int status, const std::string& where) {
    const Code code = [&] {
        switch (status & 0xff) {
            case SQLITE_FULL:
                return Code::DiskFull;
            case SQLITE_CORRUPT:
            case SQLITE_NOTADB:
                return Code::Corrupt;
            case SQLITE_READONLY:
            case SQLITE_PERM:
            case SQLITE_AUTH:
                return Code::NoPermission;
            case SQLITE_CANTOPEN:
                return Code::NoPermission;
            case SQLITE_BUSY:
            case SQLITE_LOCKED:
                return Code::Busy;
            case SQLITE_NOMEM:
                return Code::NoMemory;
            case SQLITE_IOERR:
                return Code::Io;
            default:
                return Code::Internal;
        }
    }();
    return {code, where, db ? sqlite3_errmsg(db) : sqlite3_errstr(status)};
}

}  // namespace

void SqlStatement::Finalize::operator()(sqlite3_stmt* statement) const {
    sqlite3_finalize(statement);
}
void SqlDatabase::Close::operator()(sqlite3* db) const {
    sqlite3_close_v2(db);
}

SqlStatement& SqlStatement::bind(int index, std::int64_t value) {
    bindStatus_ |= sqlite3_bind_int64(statement_.get(), index, value);
    return *this;
}
SqlStatement& SqlStatement::bind(int index, double value) {
    bindStatus_ |= sqlite3_bind_double(statement_.get(), index, value);
    return *this;
}
SqlStatement& SqlStatement::bind(int index, std::string_view text) {
    bindStatus_ |= sqlite3_bind_text64(statement_.get(), index, text.data() ? text.data() : "", text.size(),
                                       SQLITE_TRANSIENT, SQLITE_UTF8);
    return *this;
}
SqlStatement& SqlStatement::bind(int index, std::span<const std::byte> blob) {
    bindStatus_ |=
        sqlite3_bind_blob64(statement_.get(), index, blob.empty() ? "" : static_cast<const void*>(blob.data()),
                            blob.size(), SQLITE_TRANSIENT);
    return *this;
}

Result<bool> SqlStatement::step() {
    sqlite3* db = sqlite3_db_handle(statement_.get());
    if (bindStatus_ != SQLITE_OK)
        return Error{Code::Internal, sqlite3_sql(statement_.get()), "a parameter could not be bound"};
    const int status = sqlite3_step(statement_.get());
    if (status == SQLITE_ROW) return true;
    if (status == SQLITE_DONE) {
        sqlite3_reset(statement_.get());
        return false;
    }
    Error error = sqlError(db, status, sqlite3_sql(statement_.get()));
    sqlite3_reset(statement_.get());
    return error;
}
Status SqlStatement::run() {
    while (true) {
        const auto row = step();
        if (!row) return row.error();
        if (!*row) return {};
    }
}
std::int64_t SqlStatement::integer(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
}
double SqlStatement::real(int column) const {
    return sqlite3_column_double(statement_.get(), column);
}
std::string SqlStatement::text(int column) const {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
    return text ? std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column)))
                : std::string();
}
std::span<const std::byte> SqlStatement::blob(int column) const {
    const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_.get(), column));
    return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Result<SqlDatabase> SqlDatabase::open(const std::filesystem::path& file, bool readOnly) {
    SqlDatabase out;
    out.name_ = file.string();
    sqlite3* db = nullptr;
    const int status = sqlite3_open_v2(
        file.c_str(), &db,
        (readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX, nullptr);
    out.db_.reset(db);
    if (status != SQLITE_OK) return sqlError(db, status, out.name_);
    sqlite3_busy_timeout(db, 5000);
    // A database from a hostile archive must not run its own code through our connection.
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    if (auto set = out.exec(readOnly ? "PRAGMA foreign_keys=ON"
                                     : "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON");
        !set)
        return set.error();
    if (auto version = out.userVersion(); !version)
        return Error{version.error().code, out.name_, version.error().detail};  // reads the header: NOTADB shows here
    return out;
}

Result<SqlStatement> SqlDatabase::prepare(std::string_view sql) {
    SqlStatement out;
    sqlite3_stmt* statement = nullptr;
    const int status = sqlite3_prepare_v2(db_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
    if (status != SQLITE_OK) return sqlError(db_.get(), status, name_);
    out.statement_.reset(statement);
    return out;
}
Status SqlDatabase::exec(std::string_view sql) {
    const int status = sqlite3_exec(db_.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
    if (status != SQLITE_OK) return sqlError(db_.get(), status, name_);
    return {};
}
Result<std::int64_t> SqlDatabase::userVersion() {
    auto statement = prepare("PRAGMA user_version");
    if (!statement) return statement.error();
    const auto row = statement->step();
    if (!row) return row.error();
    return *row ? statement->integer(0) : 0;
}
std::int64_t SqlDatabase::lastInsertId() const {
    return sqlite3_last_insert_rowid(db_.get());
}
std::int64_t SqlDatabase::changes() const {
    return sqlite3_changes64(db_.get());
}

Result<SqlTransaction> SqlTransaction::begin(SqlDatabase& db) {
    if (auto begun = db.exec("BEGIN IMMEDIATE"); !begun) return begun.error();
    return SqlTransaction(db);
}
SqlTransaction::~SqlTransaction() {
    if (db_ == nullptr) return;
    const auto rolledBack = db_->exec("ROLLBACK");  // fails only where SQLite has rolled back by itself
    static_cast<void>(rolledBack);
}
Status SqlTransaction::commit() {
    auto done = db_->exec("COMMIT");
    if (done) db_ = nullptr;
    return done;
}

}  // namespace carrel
