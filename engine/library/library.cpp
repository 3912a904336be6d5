#include <unistd.h>

#include <cerrno>
#include <unordered_set>
#include <utility>

#include "base/file.h"
#include "base/hash.h"
#include "library/schema.h"
#include "library/sql_library.h"
#include "library/word_index.h"

namespace carrel {

namespace fs = std::filesystem;

namespace {

bool isSha256(const std::string& name) {
    return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

constexpr std::size_t kFoundWords = 80;  // of one hit; measured: no better with overlap, no worse than 40

constexpr const char* kSelectDocuments =
    "SELECT sha256, title, original_path, pages, file_bytes, text_bytes, state, reason, pages_without_text, added_at, "
    "opened_at FROM documents ";

DocumentRow documentRow(const SqlStatement& row) {
    return {.sha256 = row.text(0),
            .title = row.text(1),
            .originalPath = row.text(2),
            .pages = u32(row.integer(3)),
            .fileBytes = u64(row.integer(4)),
            .textBytes = u64(row.integer(5)),
            .state = enumOf(row.integer(6), DocumentState::Ready),
            .reason = row.text(7),
            .pagesWithoutText = valuesOf<std::uint32_t>(row.blob(8)),
            .addedAt = row.integer(9),
            .openedAt = row.integer(10)};
}

/// The version a library has, without changing anything; 0 where there is none yet.
Result<std::int64_t> versionOf(const fs::path& file) {
    std::error_code failure;
    if (!fs::exists(file, failure)) return std::int64_t{0};
    auto db = SqlDatabase::open(file, true);
    if (!db) return db.error();
    return db->userVersion();
}

}  // namespace

Status SqlLibrary::writable() const {
    if (!readOnly()) return {};
    return Error{Code::Unsupported, (options_.dataDir / "library.sqlite").string(),
                 "this library was written by a newer Carrel: it can be read but not changed"};
}

Status SqlLibrary::change(SqlStatement& statement, const std::string& what) {
    if (auto done = statement.run(); !done) return done;
    if (db_.changes() == 0) return Error{Code::NotFound, what, "the library does not hold it"};
    return {};
}

// ---- what a crash left behind

Status SqlLibrary::recover() {
    auto turns = db_.prepare("UPDATE turns SET state = ? WHERE state < ?");
    if (!turns) return turns.error();
    if (auto done = turns->bind(1, numberOf(TurnState::Interrupted)).bind(2, numberOf(TurnState::Done)).run(); !done)
        return done;
    auto adding = db_.prepare(
        "UPDATE documents SET state = ?, reason = 'adding it was interrupted; add it again' WHERE state = ?");
    if (!adding) return adding.error();
    if (auto done = adding->bind(1, numberOf(DocumentState::Refused)).bind(2, numberOf(DocumentState::Adding)).run();
        !done)
        return done;
    if (auto swept = sweepDocuments(); !swept) return swept;
    presence_->letOthersIn();
    return {};
}

Status SqlLibrary::sweepDocuments() {
    const auto known = documents();
    if (!known) return known.error();
    std::unordered_set<std::string> names;
    for (const auto& row : *known) names.insert(row.sha256);
    std::error_code failure;
    for (fs::directory_iterator entry(options_.dataDir / "documents", failure), end; !failure && entry != end;
         entry.increment(failure)) {
        // A row is written before its folder is, and nobody else is here: what has no row was forgotten or cut short.
        if (names.contains(entry->path().filename().string())) continue;
        if (auto removed = realFileSystem().remove(entry->path()); !removed) return removed;
    }
    return {};
}

// ---- documents

Result<DocumentRow> SqlLibrary::add(const fs::path& file, const std::string& password,
                                    const std::function<void(std::uint32_t, std::uint32_t)>& progress,
                                    std::stop_token stop) {
    if (auto may = writable(); !may) return may.error();
    const auto sha256 = sha256HexOfFile(file);
    if (!sha256) return sha256.error();
    const auto isNew = announce(*sha256, file);
    if (!isNew) return isNew.error();

    auto row = extract(*sha256, file,
                       {.pdfHelper = options_.pdfHelper, .password = password, .progress = progress, .stop = stop});
    if (!row && *isNew && row.error().code != Code::WrongPassword) {
        if (auto undone = forget(*sha256); !undone) return undone.error();
    }
    return row;
}

/// The row comes before the files, so that a sweep never takes them for orphans. True: it is new.
Result<bool> SqlLibrary::announce(const std::string& sha256, const fs::path& file) {
    std::error_code failure;
    const auto bytes = fs::file_size(file, failure);
    const auto absolute = fs::absolute(file, failure);
    auto insert = db_.prepare(
        "INSERT INTO documents(sha256, title, original_path, file_bytes, state, added_at, opened_at, opened_order) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?6, (SELECT coalesce(max(opened_order), 0) + 1 FROM documents)) ON CONFLICT DO "
        "NOTHING");
    if (!insert) return insert.error();
    insert->bind(1, sha256).bind(2, file.filename().string()).bind(3, absolute.string()).bind(4, i64(bytes));
    if (auto done = insert->bind(5, numberOf(DocumentState::Adding)).bind(6, now()).run(); !done) return done.error();
    return db_.changes() > 0;
}

Result<DocumentRow> SqlLibrary::extract(const std::string& sha256, const fs::path& file, DocumentOptions options) {
    const auto adopted = store_.adopt(file);
    if (!adopted) return adopted.error();
    if (*adopted != sha256) return Error{Code::Io, file.string(), "the file changed while it was copied"};
    const auto before = this->document(sha256);
    if (!before || before->state == DocumentState::Ready) return before;

    // Without the password first: that tells whether the document is encrypted, whatever was typed.
    const std::string password = std::exchange(options.password, {});
    auto document = store_.load(sha256, options);
    const bool encrypted = !document && document.error().code == Code::NeedsPassword;
    if (encrypted && !password.empty()) {
        options.password = password;
        document = store_.load(sha256, options);
    }
    if (document) {
        // An encrypted document's own title is its text, too.
        const std::string title = encrypted || document->title.empty() ? file.filename().string() : document->title;
        if (auto done = ready(sha256, title, *document, encrypted); !done) return done.error();
        return this->document(sha256);
    }
    const Error& why = document.error();
    const auto end = [&](DocumentState state) -> Result<DocumentRow> {
        if (auto done = closeWithout(sha256, state, why, encrypted); !done) return done.error();
        return this->document(sha256);
    };
    switch (why.code) {
        case Code::NeedsPassword:
            return end(DocumentState::NeedsPassword);
        case Code::NoText:
            return end(DocumentState::NoText);
        case Code::NotADocument:
        case Code::Truncated:
        case Code::Corrupt:
        case Code::Unsupported:
        case Code::HelperFailed:
            return end(DocumentState::Refused);
        case Code::WrongPassword: {
            if (auto row = end(DocumentState::NeedsPassword); !row) return row;
            return why;
        }
        default:
            return why;  // of this moment or this machine, not of the document
    }
}

Status SqlLibrary::closeWithout(const std::string& sha256, DocumentState state, const Error& why, bool encrypted) {
    auto update = db_.prepare("UPDATE documents SET state = ?, reason = ?, encrypted = ? WHERE sha256 = ?");
    if (!update) return update.error();
    update->bind(1, numberOf(state)).bind(2, state == DocumentState::NeedsPassword ? std::string() : why.detail);
    return change(update->bind(3, std::int64_t{encrypted}).bind(4, sha256), sha256);
}

Status SqlLibrary::ready(const std::string& sha256, const std::string& title, const Document& document,
                         bool encrypted) {
    auto transaction = SqlTransaction::begin(db_);
    if (!transaction) return transaction.error();
    auto update = db_.prepare(
        "UPDATE documents SET state = ?, reason = '', title = ?, pages = ?, text_bytes = ?, pages_without_text = ?, "
        "encrypted = ? WHERE sha256 = ?");
    if (!update) return update.error();
    update->bind(1, numberOf(DocumentState::Ready)).bind(2, title);
    update->bind(3, document.hasPages() ? i64(document.places.size()) : 0).bind(4, i64(document.text.size()));
    update->bind(5, bytesOf(document.pagesWithoutText)).bind(6, std::int64_t{encrypted}).bind(7, sha256);
    if (auto done = change(*update, sha256); !done) return done;
    if (!encrypted) {
        if (auto done = index(sha256, document); !done) return done;
    }
    return transaction->commit();
}

Status SqlLibrary::index(const std::string& sha256, const Document& document) {
    if (auto dropped = dropWindows(sha256); !dropped) return dropped;
    auto place = db_.prepare("INSERT INTO windows(document, place, page, first, count) VALUES(?, ?, ?, ?, ?)");
    if (!place) return place.error();
    auto words = db_.prepare("INSERT INTO windows_fts(rowid, text) VALUES(?, ?)");
    if (!words) return words.error();
    for (const auto& window : wordWindows(document, kFoundWords, kFoundWords)) {
        place->bind(1, sha256)
            .bind(2, placeName(document, window.place))
            .bind(3, document.hasPages() ? i64(window.place + 1) : 0);
        if (auto done = place->bind(4, i64(window.span.first)).bind(5, i64(window.span.count)).run(); !done)
            return done;
        const auto text = std::string_view(document.text).substr(window.span.first, window.span.count);
        if (auto done = words->bind(1, db_.lastInsertId()).bind(2, text).run(); !done) return done;
    }
    return {};
}

Status SqlLibrary::dropWindows(const std::string& sha256) {
    for (const char* sql : {"DELETE FROM windows_fts WHERE rowid IN (SELECT id FROM windows WHERE document = ?)",
                            "DELETE FROM windows WHERE document = ?"}) {
        auto statement = db_.prepare(sql);
        if (!statement) return statement.error();
        if (auto done = statement->bind(1, sha256).run(); !done) return done;
    }
    return {};
}

Result<std::vector<DocumentRow>> SqlLibrary::documents() {
    auto query = db_.prepare(std::string(kSelectDocuments) + "ORDER BY opened_order DESC");
    if (!query) return query.error();
    std::vector<DocumentRow> rows;
    while (true) {
        const auto row = query->step();
        if (!row) return row.error();
        if (!*row) return rows;
        rows.push_back(documentRow(*query));
        rows.back().diskBytes = store_.diskBytes(rows.back().sha256);
    }
}

Result<DocumentRow> SqlLibrary::document(const std::string& sha256) {
    auto query = db_.prepare(std::string(kSelectDocuments) + "WHERE sha256 = ?");
    if (!query) return query.error();
    const auto row = query->bind(1, sha256).step();
    if (!row) return row.error();
    if (!*row) return Error{Code::NotFound, sha256, "the library does not hold this document"};
    DocumentRow found = documentRow(*query);
    found.diskBytes = store_.diskBytes(sha256);
    return found;
}

Status SqlLibrary::opened(const std::string& sha256) {
    if (auto may = writable(); !may) return may;
    auto update = db_.prepare(
        "UPDATE documents SET opened_at = ?, opened_order = (SELECT max(opened_order) + 1 FROM documents) WHERE sha256 "
        "= ?");
    if (!update) return update.error();
    return change(update->bind(1, now()).bind(2, sha256), sha256);
}

Status SqlLibrary::forget(const std::string& sha256) {
    if (auto may = writable(); !may) return may;
    if (!isSha256(sha256))
        return Error{Code::InvalidArgument, sha256, "not the SHA-256 of a document"};  // it becomes a path below
    auto transaction = SqlTransaction::begin(db_);
    if (!transaction) return transaction.error();
    if (auto dropped = dropWindows(sha256); !dropped) return dropped;
    auto row = db_.prepare("DELETE FROM documents WHERE sha256 = ?");
    if (!row) return row.error();
    if (auto gone = change(row->bind(1, sha256), sha256); !gone) return gone;
    if (auto committed = transaction->commit(); !committed) return committed;
    return store_.remove(sha256);
}

Result<bool> SqlLibrary::isEncrypted(const std::string& sha256) {
    auto query = db_.prepare("SELECT encrypted FROM documents WHERE sha256 = ?");
    if (!query) return query.error();
    const auto row = query->bind(1, sha256).step();
    if (!row) return row.error();
    return *row && query->integer(0) != 0;
}

Result<std::unique_ptr<Library>> Library::open(const LibraryOptions& options) {
    if (auto made = realFileSystem().makeDirectories(options.dataDir); !made) return made.error();
    const fs::path file = options.dataDir / "library.sqlite";
    if (::access(options.dataDir.c_str(), R_OK | W_OK | X_OK) != 0) return systemError(errno, options.dataDir.string());

    const auto version = versionOf(file);
    if (!version) return version.error();
    if (*version > static_cast<std::int64_t>(librarySchema().size())) {
        auto db = SqlDatabase::open(file, true);
        if (!db) return db.error();
        return std::unique_ptr<Library>(std::make_unique<SqlLibrary>(std::move(*db), std::nullopt, options));
    }
    auto presence = Presence::enter(options.dataDir / "library.lock");
    if (!presence) return presence.error();
    auto db = SqlDatabase::open(file);
    if (!db) return db.error();
    // What is deleted is overwritten: a forgotten document's words must not linger in free pages.
    if (auto set = db->exec("PRAGMA secure_delete=ON"); !set) return set.error();
    if (auto migrated = migrate(*db, file, librarySchema()); !migrated) return migrated.error();
    const bool alone = presence->alone();
    auto library = std::make_unique<SqlLibrary>(std::move(*db), std::move(*presence), options);
    if (alone) {
        if (auto recovered = library->recover(); !recovered) return recovered.error();
    }
    return std::unique_ptr<Library>(std::move(library));
}

}  // namespace carrel
