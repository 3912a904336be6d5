#include <doctest/doctest.h>

#include "engine/library/temporary_folder.h"
#include "library/schema.h"

using namespace carrel;
namespace fs = std::filesystem;

namespace {

std::int64_t number(SqlDatabase& db, const char* sql) {
    auto statement = db.prepare(sql);
    REQUIRE(statement);
    REQUIRE(*statement->step());
    return statement->integer(0);
}

struct Fixture {
    TemporaryFolder folder;
    fs::path file = folder.path() / "library.sqlite";
    fs::path backup = folder.path() / "library.sqlite.v1-backup";
    SqlDatabase open(const fs::path& which) {
        auto db = SqlDatabase::open(which);
        REQUIRE(db);
        return std::move(*db);
    }
    SqlDatabase version1() {
        auto db = open(file);
        const char* const steps[] = {"CREATE TABLE letters(n INTEGER)"};
        REQUIRE(migrate(db, file, steps));
        REQUIRE(db.exec("INSERT INTO letters VALUES(400)"));
        return db;
    }
};

}  // namespace

TEST_CASE("a new library is made without a backup") {
    Fixture f;
    auto db = f.open(f.file);
    REQUIRE(migrate(db, f.file, librarySchema()));
    CHECK(*db.userVersion() == static_cast<std::int64_t>(librarySchema().size()));
    for (const auto& entry : fs::directory_iterator(f.folder.path()))
        CHECK(entry.path().string().find("backup") == std::string::npos);
}

TEST_CASE("an older library is copied before it is lifted, and only the missing steps run") {
    Fixture f;
    auto db = f.version1();
    const char* const steps[] = {"this step is done already",
                                 "ALTER TABLE letters ADD COLUMN year INTEGER DEFAULT 1840"};
    REQUIRE(migrate(db, f.file, steps));
    CHECK(*db.userVersion() == 2);
    CHECK(number(db, "SELECT year FROM letters") == 1840);

    auto old = f.open(f.backup);
    CHECK(*old.userVersion() == 1);
    CHECK(number(old, "SELECT n FROM letters") == 400);
    CHECK(number(old, "SELECT count(*) FROM pragma_table_info('letters')") == 1);
}

TEST_CASE("a step that fails leaves the library as it was, and the next try works") {
    Fixture f;
    auto db = f.version1();
    const char* const broken[] = {"", "ALTER TABLE letters ADD COLUMN year INTEGER", "no such statement"};
    CHECK(!migrate(db, f.file, broken));
    CHECK(*db.userVersion() == 1);
    CHECK(number(db, "SELECT count(*) FROM pragma_table_info('letters')") == 1);
    const char* const right[] = {"", "ALTER TABLE letters ADD COLUMN year INTEGER"};
    REQUIRE(migrate(db, f.file, right));  // the backup of the first try does not stand in the way
    CHECK(*db.userVersion() == 2);
}

TEST_CASE("without a backup there is no migration") {
    Fixture f;
    auto db = f.version1();
    fs::create_directories(fs::path(f.backup.string() + ".new") / "in-the-way");
    const char* const steps[] = {"", "DROP TABLE letters"};
    CHECK(!migrate(db, f.file, steps));
    CHECK(*db.userVersion() == 1);
    CHECK(number(db, "SELECT n FROM letters") == 400);
}

TEST_CASE("turns of the first version keep what they have, and are not said to have had more") {
    Fixture f;
    auto db = f.open(f.file);
    REQUIRE(migrate(db, f.file, librarySchema().first(1)));
    REQUIRE(
        db.exec("INSERT INTO documents(sha256, title, original_path, state, added_at, opened_at, opened_order) "
                "VALUES('a', 't', '', 4, 0, 0, 0);"
                "INSERT INTO chats(id, document, created_at) VALUES('c', 'a', 0);"
                "INSERT INTO turns(chat, question, answer, state, asked_at) VALUES('c', 'q', 'old', 4, 7)"));
    REQUIRE(migrate(db, f.file, librarySchema()));
    CHECK(number(db, "SELECT count(*) FROM turns WHERE answer = 'old' AND asked_at = 7") == 1);
    CHECK(number(db, "SELECT goes_on + dropped_turns + provenance FROM turns") == 0);
    CHECK(number(db, "SELECT page_shares IS NULL FROM turns") == 1);
}
