#include "library/sql_library.h"

namespace carrel {

namespace {

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

}  // namespace

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
        "tokens_total = ?, goes_on = ?, dropped_turns = ?, page_shares = ?, provenance = ? WHERE id = ?");
    if (!update) return update.error();
    update->bind(1, turn.answer).bind(2, numberOf(turn.state)).bind(3, turn.reason);
    update->bind(4, std::int64_t{turn.coverage.pagesRead}).bind(5, std::int64_t{turn.coverage.pagesTotal});
    update->bind(6, i64(turn.coverage.tokensRead)).bind(7, i64(turn.coverage.tokensTotal));
    update->bind(8, std::int64_t{turn.coverage.goesOn}).bind(9, std::int64_t{turn.droppedTurns});
    update->bind(10, bytesOf(turn.pageShares)).bind(11, numberOf(turn.provenance)).bind(12, turn.id);
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
        "asked_at, goes_on, dropped_turns, page_shares, provenance "
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
                        .provenance = enumOf(query->integer(14), Provenance::NotSaid),
                        .pageShares = valuesOf<float>(query->blob(13)),
                        .coverage = {.pagesRead = u32(query->integer(6)),
                                     .pagesTotal = u32(query->integer(7)),
                                     .tokensRead = u64(query->integer(8)),
                                     .tokensTotal = u64(query->integer(9)),
                                     .goesOn = query->integer(11) != 0},
                        .droppedTurns = u32(query->integer(12)),
                        .askedAt = query->integer(10)});
    }
}

}  // namespace carrel
