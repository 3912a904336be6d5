#include "library/sql_library.h"
#include "library/word_index.h"

namespace carrel {

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

}  // namespace carrel
