#include "library/sql_library.h"
#include "library/word_index.h"

namespace carrel {

namespace {

constexpr std::size_t kMostEnding = 4;  // letters by which a word is longer than its stem, as a rule

}  // namespace

Result<std::vector<Hit>> SqlLibrary::find(const std::string& words, const std::string& document, std::uint32_t limit,
                                          bool unfinished) {
    if (!document.empty()) {
        const auto encrypted = isEncrypted(document);
        if (!encrypted) return encrypted.error();
        if (*encrypted)
            return Error{Code::Unsupported, document,
                         "the words of an encrypted document are not kept, so they cannot be searched"};
    }
    std::string expression = matchExpression(words, unfinished);
    auto hits = matching(expression, document, limit);
    for (std::size_t shorter = 1; unfinished && shorter <= kMostEnding && hits && hits->empty(); ++shorter) {
        const std::string next = matchExpression(words, true, shorter);
        if (next == expression) break;
        hits = matching(expression = next, document, limit);
    }
    return hits;
}

Result<std::vector<Hit>> SqlLibrary::matching(const std::string& expression, const std::string& document,
                                              std::uint32_t limit) {
    std::vector<Hit> hits;
    if (expression.empty()) return hits;
    // Snippets are made of the best alone.
    auto query = db_.prepare(
        "SELECT w.document, w.place, f.text, w.page, w.first, w.count, best.score, "
        "snippet(windows_fts, 0, char(2), char(3), '…', 24) "
        "FROM (SELECT rowid AS id, bm25(windows_fts) AS score FROM windows_fts WHERE windows_fts MATCH ?1 AND (?2 = '' "
        "OR rowid IN (SELECT id FROM windows WHERE document = ?2)) ORDER BY score, rowid LIMIT ?3) best "
        "CROSS JOIN windows_fts f ON f.rowid = best.id JOIN windows w ON w.id = best.id "
        "WHERE windows_fts MATCH ?1 ORDER BY best.score, w.id");
    if (!query) return query.error();
    query->bind(1, expression).bind(2, document).bind(3, std::int64_t{limit});
    while (true) {
        const auto row = query->step();
        if (!row) return row.error();
        if (!*row) return hits;
        hits.push_back({.document = query->text(0),
                        .place = query->text(1),
                        .text = query->text(2),
                        .snippet = query->text(7),
                        .page = u32(query->integer(3)),
                        .span = {u64(query->integer(4)), u64(query->integer(5))},
                        .score = -query->real(6)});
    }
}

}  // namespace carrel
