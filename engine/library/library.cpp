#include <carrel/library.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "base/file.h"
#include "base/hash.h"
#include "base/sqlite.h"
#include "document/document.h"
#include "library/schema.h"
#include "library/word_index.h"

namespace carrel {

namespace {

namespace fs = std::filesystem;

std::int64_t now() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

template <class T>
std::span<const std::byte> bytesOf(const std::vector<T>& values) {
    return std::as_bytes(std::span(values));
}
template <class T>
std::vector<T> valuesOf(std::span<const std::byte> blob) {
    std::vector<T> values(blob.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), blob.data(), values.size() * sizeof(T));
    return values;
}
template <class E>
E enumOf(std::int64_t value, E last) {  // a number that is no state, from a damaged file, reads as the last one
    return value < 0 || value > static_cast<std::int64_t>(last) ? last : static_cast<E>(value);
}
template <class E>
std::int64_t numberOf(E value) {
    return static_cast<std::int64_t>(value);
}
std::uint32_t u32(std::int64_t value) {
    return static_cast<std::uint32_t>(value);
}
std::uint64_t u64(std::int64_t value) {
    return static_cast<std::uint64_t>(value);
}
std::int64_t i64(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}

bool isSha256(const std::string& name) {
    return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// The first line of a question, short enough for a list.
std::string chatTitle(const std::string& question) {
    constexpr std::size_t kBytes = 80;
    const std::size_t first = question.find_first_not_of(" \t\r\n");
    if (first == std::string::npos) return {};
    std::string title = question.substr(first, question.find_first_of("\r\n", first) - first);
    if (title.size() <= kBytes) return title;
    std::size_t end = kBytes;
    while (end > 0 && (static_cast<unsigned char>(title[end]) & 0xc0) == 0x80) --end;  // whole characters
    return title.substr(0, end) + "…";
}

/// Says that somebody uses the library, and finds out whether anybody else does: only who is alone may take open turns
/// for left behind.
class Presence {
  public:
    static Result<Presence> enter(const fs::path& file) {
        const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) return systemError(errno, file.string());
        Presence out(fd);
        out.alone_ = ::flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (!out.alone_ && ::flock(fd, LOCK_SH) != 0) return systemError(errno, file.string());
        return out;
    }
    Presence(Presence&& other) noexcept : fd_(std::exchange(other.fd_, -1)), alone_(other.alone_) {}
    Presence& operator=(Presence&&) = delete;
    ~Presence() {
        if (fd_ >= 0) ::close(fd_);
    }
    bool alone() const { return alone_; }
    void letOthersIn() {
        if (alone_) ::flock(fd_, LOCK_SH);
        alone_ = false;
    }

  private:
    explicit Presence(int fd) : fd_(fd) {}
    int fd_;
    bool alone_ = false;
};

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

class SqlLibrary final : public Library {
  public:
    SqlLibrary(SqlDatabase db, std::optional<Presence> presence, const LibraryOptions& options)
        : db_(std::move(db)), presence_(std::move(presence)), options_(options), store_(options.dataDir) {}

    Status recover();

    Result<DocumentRow> add(const fs::path& file, const std::string& password,
                            const std::function<void(std::uint32_t, std::uint32_t)>& progress,
                            std::stop_token stop) override;
    Result<std::vector<DocumentRow>> documents() override;
    Result<DocumentRow> document(const std::string& sha256) override;
    Status opened(const std::string& sha256) override;
    Status forget(const std::string& sha256) override;
    Result<ChatRow> newChat(const std::string& document) override;
    Result<std::vector<ChatRow>> chats(const std::string& document) override;
    Status saveDraft(const std::string& chat, const std::string& text) override;
    Status forgetChat(const std::string& chat) override;
    Result<std::int64_t> startTurn(const std::string& chat, const std::string& question) override;
    Status saveTurn(const TurnRow& turn) override;
    Result<std::vector<TurnRow>> turns(const std::string& chat) override;
    Result<std::vector<Hit>> find(const std::string& words, const std::string& document, std::uint32_t limit) override;

  private:
    bool readOnly() const { return !presence_; }
    Status writable() const;
    /// Steps to the end; NotFound when no row changed.
    Status change(SqlStatement& statement, const std::string& what);
    Status sweepDocuments();
    Result<bool> announce(const std::string& sha256, const fs::path& file);
    Result<DocumentRow> extract(const std::string& sha256, const fs::path& file, DocumentOptions options);
    Status closeWithout(const std::string& sha256, DocumentState state, const Error& why, bool encrypted);
    Status ready(const std::string& sha256, const std::string& title, const Document& document, bool encrypted);
    Status index(const std::string& sha256, const Document& document);
    Status dropWindows(const std::string& sha256);
    Status saveSources(const TurnRow& turn);
    Result<std::vector<Source>> sources(std::int64_t turn);
    Result<bool> isEncrypted(const std::string& sha256);

    SqlDatabase db_;
    std::optional<Presence> presence_;  // none: a newer Carrel's library, only to be read
    LibraryOptions options_;
    DocumentStore store_;
};

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
    }
}

Result<DocumentRow> SqlLibrary::document(const std::string& sha256) {
    auto query = db_.prepare(std::string(kSelectDocuments) + "WHERE sha256 = ?");
    if (!query) return query.error();
    const auto row = query->bind(1, sha256).step();
    if (!row) return row.error();
    if (!*row) return Error{Code::NotFound, sha256, "the library does not hold this document"};
    return documentRow(*query);
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

// ---- chats and turns

Result<ChatRow> SqlLibrary::newChat(const std::string& document) {
    if (auto may = writable(); !may) return may.error();
    if (auto known = this->document(document); !known) return known.error();
    auto insert = db_.prepare(
        "INSERT INTO chats(id, document, created_at) VALUES(lower(hex(randomblob(16))), ?, ?) RETURNING id, "
        "created_at");
    if (!insert) return insert.error();
    const auto row = insert->bind(1, document).bind(2, now()).step();
    if (!row) return row.error();
    ChatRow chat{
        .id = insert->text(0), .document = document, .title = {}, .draft = {}, .createdAt = insert->integer(1)};
    if (auto done = insert->run(); !done) return done.error();  // the row is only there when the statement has ended
    return chat;
}

Result<std::vector<ChatRow>> SqlLibrary::chats(const std::string& document) {
    auto query = db_.prepare(
        "SELECT id, document, title, draft, created_at FROM chats WHERE document = ? ORDER BY ordinal DESC");
    if (!query) return query.error();
    query->bind(1, document);
    std::vector<ChatRow> rows;
    while (true) {
        const auto row = query->step();
        if (!row) return row.error();
        if (!*row) return rows;
        rows.push_back({query->text(0), query->text(1), query->text(2), query->text(3), query->integer(4)});
    }
}

Status SqlLibrary::saveDraft(const std::string& chat, const std::string& text) {
    if (auto may = writable(); !may) return may;
    auto update = db_.prepare("UPDATE chats SET draft = ? WHERE id = ?");
    if (!update) return update.error();
    return change(update->bind(1, text).bind(2, chat), chat);
}

Status SqlLibrary::forgetChat(const std::string& chat) {
    if (auto may = writable(); !may) return may;
    auto row = db_.prepare("DELETE FROM chats WHERE id = ?");
    if (!row) return row.error();
    return change(row->bind(1, chat), chat);
}

Result<std::int64_t> SqlLibrary::startTurn(const std::string& chat, const std::string& question) {
    if (auto may = writable(); !may) return may.error();
    auto transaction = SqlTransaction::begin(db_);
    if (!transaction) return transaction.error();
    auto update =
        db_.prepare("UPDATE chats SET draft = '', title = CASE title WHEN '' THEN ? ELSE title END WHERE id = ?");
    if (!update) return update.error();
    if (auto done = change(update->bind(1, chatTitle(question)).bind(2, chat), chat); !done) return done.error();
    auto insert = db_.prepare("INSERT INTO turns(chat, question, state, asked_at) VALUES(?, ?, ?, ?)");
    if (!insert) return insert.error();
    insert->bind(1, chat).bind(2, question).bind(3, numberOf(TurnState::Queued));
    if (auto done = insert->bind(4, now()).run(); !done) return done.error();
    const std::int64_t id = db_.lastInsertId();
    if (auto committed = transaction->commit(); !committed) return committed.error();
    return id;
}

Status SqlLibrary::saveTurn(const TurnRow& turn) {
    if (auto may = writable(); !may) return may;
    auto transaction = SqlTransaction::begin(db_);
    if (!transaction) return transaction.error();
    auto update = db_.prepare(
        "UPDATE turns SET answer = ?, state = ?, reason = ?, pages_read = ?, pages_total = ?, tokens_read = ?, "
        "tokens_total = ? WHERE id = ?");
    if (!update) return update.error();
    update->bind(1, turn.answer).bind(2, numberOf(turn.state)).bind(3, turn.reason);
    update->bind(4, std::int64_t{turn.coverage.pagesRead}).bind(5, std::int64_t{turn.coverage.pagesTotal});
    update->bind(6, i64(turn.coverage.tokensRead)).bind(7, i64(turn.coverage.tokensTotal)).bind(8, turn.id);
    if (auto done = change(*update, "turn " + std::to_string(turn.id)); !done) return done;
    if (auto saved = saveSources(turn); !saved) return saved;
    return transaction->commit();
}

Status SqlLibrary::saveSources(const TurnRow& turn) {
    auto old = db_.prepare("DELETE FROM sources WHERE turn = ?");
    if (!old) return old.error();
    if (auto done = old->bind(1, turn.id).run(); !done) return done;
    if (turn.sources.empty()) return {};
    auto owner = db_.prepare(
        "SELECT d.encrypted FROM turns t JOIN chats c ON c.id = t.chat JOIN documents d ON d.sha256 = c.document WHERE "
        "t.id = ?");
    if (!owner) return owner.error();
    const auto row = owner->bind(1, turn.id).step();
    if (!row) return row.error();
    const bool encrypted = !*row || owner->integer(0) != 0;

    auto insert = db_.prepare(
        "INSERT INTO sources(turn, rank, place, page, first, count, quote, boxes, share) VALUES(?, ?, ?, ?, ?, ?, ?, "
        "?, ?)");
    if (!insert) return insert.error();
    for (std::size_t rank = 0; rank < turn.sources.size(); ++rank) {
        const Source& source = turn.sources[rank];
        insert->bind(1, turn.id).bind(2, i64(rank)).bind(3, source.place).bind(4, std::int64_t{source.page});
        insert->bind(5, i64(source.span.first))
            .bind(6, i64(source.span.count))
            .bind(7, encrypted ? std::string() : source.quote);
        if (auto done = insert->bind(8, bytesOf(source.boxes)).bind(9, double{source.share}).run(); !done) return done;
    }
    return {};
}

Result<std::vector<Source>> SqlLibrary::sources(std::int64_t turn) {
    auto query =
        db_.prepare("SELECT place, page, first, count, quote, boxes, share FROM sources WHERE turn = ? ORDER BY rank");
    if (!query) return query.error();
    query->bind(1, turn);
    std::vector<Source> found;
    while (true) {
        const auto row = query->step();
        if (!row) return row.error();
        if (!*row) return found;
        found.push_back({.place = query->text(0),
                         .page = u32(query->integer(1)),
                         .span = {u64(query->integer(2)), u64(query->integer(3))},
                         .quote = query->text(4),
                         .boxes = valuesOf<Box>(query->blob(5)),
                         .share = static_cast<float>(query->real(6))});
    }
}

Result<std::vector<TurnRow>> SqlLibrary::turns(const std::string& chat) {
    auto query = db_.prepare(
        "SELECT id, chat, question, answer, state, reason, pages_read, pages_total, tokens_read, tokens_total, "
        "asked_at "
        "FROM turns WHERE chat = ? ORDER BY id");
    if (!query) return query.error();
    query->bind(1, chat);
    std::vector<TurnRow> rows;
    while (true) {
        const auto row = query->step();
        if (!row) return row.error();
        if (!*row) return rows;
        auto places = sources(query->integer(0));
        if (!places) return places.error();
        rows.push_back({.id = query->integer(0),
                        .chat = query->text(1),
                        .question = query->text(2),
                        .answer = query->text(3),
                        .state = enumOf(query->integer(4), TurnState::Interrupted),
                        .reason = query->text(5),
                        .sources = std::move(*places),
                        .coverage = {.pagesRead = u32(query->integer(6)),
                                     .pagesTotal = u32(query->integer(7)),
                                     .tokensRead = u64(query->integer(8)),
                                     .tokensTotal = u64(query->integer(9))},
                        .askedAt = query->integer(10)});
    }
}

// ---- word search

Result<std::vector<Hit>> SqlLibrary::find(const std::string& words, const std::string& document, std::uint32_t limit) {
    if (!document.empty()) {
        const auto encrypted = isEncrypted(document);
        if (!encrypted) return encrypted.error();
        if (*encrypted)
            return Error{Code::Unsupported, document,
                         "the words of an encrypted document are not kept, so they cannot be searched"};
    }
    std::vector<Hit> hits;
    const std::string expression = matchExpression(words);
    if (expression.empty()) return hits;
    auto query = db_.prepare(
        "SELECT w.document, w.place, f.text, w.page, w.first, w.count, bm25(windows_fts) AS score "
        "FROM windows_fts f JOIN windows w ON w.id = f.rowid "
        "WHERE windows_fts MATCH ?1 AND (?2 = '' OR w.document = ?2) ORDER BY score, w.id LIMIT ?3");
    if (!query) return query.error();
    query->bind(1, expression).bind(2, document).bind(3, std::int64_t{limit});
    while (true) {
        const auto row = query->step();
        if (!row) return row.error();
        if (!*row) return hits;
        hits.push_back({.document = query->text(0),
                        .place = query->text(1),
                        .text = query->text(2),
                        .page = u32(query->integer(3)),
                        .span = {u64(query->integer(4)), u64(query->integer(5))},
                        .score = -query->real(6)});
    }
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
