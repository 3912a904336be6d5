#include <doctest/doctest.h>

#include <array>
#include <cstring>

#include "base/sqlite.h"
#include "engine/library/temporary_folder.h"

namespace carrel {

namespace {

SqlDatabase opened(const std::filesystem::path& file, bool readOnly = false) {
    auto db = SqlDatabase::open(file, readOnly);
    if (!db) FAIL(db.error().where << ": " << db.error().detail);
    return std::move(*db);
}

std::int64_t count(SqlDatabase& db) {
    auto statement = db.prepare("SELECT count(*) FROM t");
    REQUIRE(statement);
    const auto row = statement->step();
    REQUIRE(row);
    REQUIRE(*row);
    return statement->integer(0);
}

}  // namespace

TEST_CASE("A file that is no database is Corrupt, and is left as it was") {
    const TemporaryFolder folder;
    const std::string text(5000, 'x');
    const auto file = folder.write("library.sqlite", text);
    for (const bool readOnly : {false, true}) {
        const auto db = SqlDatabase::open(file, readOnly);
        REQUIRE_FALSE(db);
        CHECK(db.error().code == Code::Corrupt);
    }
    std::ifstream in(file, std::ios::binary);
    CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == text);
}

TEST_CASE("A database in a folder that is missing, and a missing one to be read, are refused") {
    const TemporaryFolder folder;
    CHECK_FALSE(SqlDatabase::open(folder.path() / "no folder" / "db"));
    CHECK_FALSE(SqlDatabase::open(folder.path() / "missing", true));
    CHECK_FALSE(std::filesystem::exists(folder.path() / "missing"));
}

TEST_CASE("What a transaction did is gone where it went without commit, and stays where it committed") {
    const TemporaryFolder folder;
    SqlDatabase db = opened(folder.path() / "db");
    REQUIRE(db.exec("CREATE TABLE t(x INTEGER PRIMARY KEY)"));
    {
        auto transaction = SqlTransaction::begin(db);
        REQUIRE(transaction);
        REQUIRE(db.exec("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)"));
        CHECK(count(db) == 2);
    }
    CHECK(count(db) == 0);
    {
        auto transaction = SqlTransaction::begin(db);
        REQUIRE(transaction);
        REQUIRE(db.exec("INSERT INTO t VALUES (3)"));
        REQUIRE_FALSE(db.exec("INSERT INTO t VALUES (3)"));  // fails alone: the transaction goes on
        REQUIRE(transaction->commit());
    }
    CHECK(count(db) == 1);
    SqlDatabase other = opened(folder.path() / "db", true);
    CHECK(count(other) == 1);
    CHECK_FALSE(other.exec("INSERT INTO t VALUES (4)"));
}

TEST_CASE("Every kind of value comes back as it was bound, the empty and the zero-filled too") {
    const TemporaryFolder folder;
    SqlDatabase db = opened(folder.path() / "db");
    REQUIRE(db.exec("CREATE TABLE t(i, r, s, b)"));
    const std::string text("a\0b \xc3\xa9", 6);
    const std::array<std::byte, 3> blob{std::byte{0}, std::byte{255}, std::byte{0}};
    auto insert = db.prepare("INSERT INTO t VALUES (?, ?, ?, ?)");
    REQUIRE(insert);
    REQUIRE(insert->bind(1, std::int64_t{-5'000'000'000})
                .bind(2, 0.1)
                .bind(3, text)
                .bind(4, std::span<const std::byte>(blob))
                .run());
    REQUIRE(insert->bind(1, std::int64_t{0}).bind(2, -0.5).bind(3, "").bind(4, std::span<const std::byte>{}).run());
    CHECK(db.changes() == 1);
    CHECK(db.lastInsertId() == 2);
    auto select = db.prepare("SELECT i, r, s, b FROM t ORDER BY rowid");
    REQUIRE(select);
    REQUIRE(*select->step());
    CHECK(select->integer(0) == -5'000'000'000);
    CHECK(select->real(1) == 0.1);
    CHECK(select->text(2) == text);
    REQUIRE(select->blob(3).size() == blob.size());
    CHECK(std::memcmp(select->blob(3).data(), blob.data(), blob.size()) == 0);
    REQUIRE(*select->step());
    CHECK(select->text(2).empty());
    CHECK(select->blob(3).empty());
    CHECK_FALSE(*select->step());
}

TEST_CASE("A wrong statement and a place that a statement does not have are errors, not crashes") {
    const TemporaryFolder folder;
    SqlDatabase db = opened(folder.path() / "db");
    CHECK_FALSE(db.prepare("SELEKT 1"));
    CHECK_FALSE(db.exec("CREATE TABLE"));
    auto statement = db.prepare("SELECT ?");
    REQUIRE(statement);
    CHECK_FALSE(statement->bind(2, std::int64_t{1}).step());
}

}  // namespace carrel
