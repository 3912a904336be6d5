#pragma once

#include <carrel/result.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace carrel {

/// One prepared statement. Bind from 1, step, read columns from 0. Not thread-safe.
class SqlStatement {
  public:
    SqlStatement& bind(int index, std::int64_t value);
    SqlStatement& bind(int index, double value);
    SqlStatement& bind(int index, std::string_view text);
    SqlStatement& bind(int index, std::span<const std::byte> blob);
    /// True: a row is there. False: done. A failed bind is reported here.
    Result<bool> step();
    Status run();  // steps to the end, drops rows

    std::int64_t integer(int column) const;
    double real(int column) const;
    std::string text(int column) const;
    std::span<const std::byte> blob(int column) const;  // valid until the next step

  private:
    friend class SqlDatabase;
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    int bindStatus_ = 0;
};

/// One connection: WAL, synchronous=FULL, foreign keys on, 5 s busy timeout. Not thread-safe.
class SqlDatabase {
  public:
    /// readOnly opens without WAL changes. Corrupt where the file is no database.
    static Result<SqlDatabase> open(const std::filesystem::path& file, bool readOnly = false);
    Result<SqlStatement> prepare(std::string_view sql);
    Status exec(std::string_view sql);  // any number of statements without parameters
    Result<std::int64_t> userVersion();
    std::int64_t lastInsertId() const;
    std::int64_t changes() const;

  private:
    struct Close {
        void operator()(sqlite3* db) const;
    };
    std::unique_ptr<sqlite3, Close> db_;
    std::string name_;
};

/// BEGIN IMMEDIATE … COMMIT; rolls back when it goes without commit().
class SqlTransaction {
  public:
    static Result<SqlTransaction> begin(SqlDatabase& db);
    SqlTransaction(SqlTransaction&& other) noexcept : db_(other.db_) { other.db_ = nullptr; }
    SqlTransaction& operator=(SqlTransaction&&) = delete;
    ~SqlTransaction();
    Status commit();

  private:
    explicit SqlTransaction(SqlDatabase& db) : db_(&db) {}
    SqlDatabase* db_;
};

}  // namespace carrel
