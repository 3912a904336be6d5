#include "library/word_index.h"

#include <algorithm>
#include <array>
#include <unordered_set>

namespace carrel {

namespace {

// Fine enough to quote; half overlapping, so that a sentence cut by one window is whole in the next.
constexpr std::size_t kRankedWords = 40;
constexpr std::size_t kRankedStep = 20;
constexpr std::size_t kMaxQueryWords = 64;  // a pasted page is no better a question than its beginning

// Words that carry grammar, not content: they would rank windows by their length. Sorted.
constexpr std::array<std::string_view, 120> kFunctionWords = {
    // clang-format off
    "a", "about", "after", "again", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because",
    "been", "before", "being", "between", "both", "but", "by", "can", "could", "did", "do", "does", "doing", "down",
    "during", "each", "either", "for", "from", "further", "get", "had", "has", "have", "having", "he", "her", "here",
    "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "many", "may", "me", "might", "more",
    "most", "much", "must", "my", "no", "nor", "not", "of", "off", "on", "once", "only", "or", "other", "our", "out",
    "over", "own", "same", "shall", "she", "should", "so", "some", "such", "than", "that", "the", "their", "them",
    "then", "there", "these", "they", "this", "those", "through", "to", "too", "under", "until", "up", "us", "very",
    "was", "we", "were", "what", "when", "where", "which", "while", "who", "whom", "why", "will", "with", "would",
    "yes", "you", "your"
    // clang-format on
};

bool isSpace(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/// Part of a word: letters, digits and every byte beyond ASCII, which FTS5's tokenizer tells apart itself.
bool isWordByte(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

bool isFunctionWord(std::string_view word) {
    std::string lower(word);
    std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
    return std::ranges::binary_search(kFunctionWords, std::string_view(lower));
}

std::vector<std::string_view> wordsOf(std::string_view text) {
    std::vector<std::string_view> words;
    for (std::size_t at = 0; at < text.size();) {
        if (!isWordByte(text[at])) {
            ++at;
            continue;
        }
        const std::size_t first = at;
        while (at < text.size() && isWordByte(text[at])) ++at;
        words.push_back(text.substr(first, at - first));
    }
    return words;
}

/// What white space separates within `span`.
std::vector<ByteSpan> spacedWords(std::string_view text, ByteSpan span) {
    std::vector<ByteSpan> words;
    const std::uint64_t end = span.first + span.count;
    for (std::uint64_t at = span.first; at < end;) {
        const std::uint64_t first = at;
        while (at < end && !isSpace(text[at])) ++at;
        if (at > first) words.push_back({first, at - first});
        while (at < end && isSpace(text[at])) ++at;
    }
    return words;
}

}  // namespace

std::vector<WordWindow> wordWindows(const Document& document, std::size_t words, std::size_t step) {
    std::vector<WordWindow> windows;
    for (std::size_t place = 0; place < document.places.size(); ++place) {
        const auto all = spacedWords(document.text, document.places[place].text);
        for (std::size_t first = 0; first < all.size(); first += step) {
            const std::size_t last = std::min(first + words, all.size()) - 1;
            windows.push_back({{all[first].first, all[last].first + all[last].count - all[first].first}, place});
            if (last + 1 == all.size()) break;
        }
    }
    return windows;
}

std::string placeName(const Document& document, std::size_t place) {
    if (document.hasPages()) return "p. " + std::to_string(place + 1);
    return place < document.places.size() ? document.places[place].heading : std::string();
}

namespace {

/// Each once, at most kMaxQueryWords; function words only where there is nothing else.
std::vector<std::string_view> queryWords(const std::vector<std::string_view>& all) {
    const bool anyContent = !std::ranges::all_of(all, isFunctionWord);
    std::unordered_set<std::string_view> seen;
    std::vector<std::string_view> words;
    for (const auto word : all)
        if (!(anyContent && isFunctionWord(word)) && words.size() < kMaxQueryWords && seen.insert(word).second)
            words.push_back(word);
    return words;
}

std::string quoted(std::string_view word) {
    return std::string("\"").append(word).append("\"");
}

}  // namespace

std::string matchExpression(std::string_view words, bool unfinished, std::size_t shorter) {
    auto all = wordsOf(words);
    unfinished = unfinished && !all.empty();
    if (unfinished) {
        auto& last = all.back();
        std::size_t keep = last.size() - std::min(last.size() - 1, shorter);
        while (keep > 1 && (static_cast<unsigned char>(last[keep]) & 0xc0) == 0x80) --keep;  // whole characters
        last = last.substr(0, keep);
    }
    std::string expression;
    for (const auto word : queryWords(all)) {
        expression += (expression.empty() ? "" : " OR ") + quoted(word);
        if (unfinished && word.data() == all.back().data()) expression += '*';
    }
    return expression;
}

Result<WordIndex> WordIndex::build(const Document& document) {
    auto db = SqlDatabase::open(":memory:");
    if (!db) return db.error();
    // Contentless: the text is the document's own.
    if (auto made = db->exec("CREATE VIRTUAL TABLE windows_fts USING fts5(text, content='', tokenize='porter unicode61 "
                             "remove_diacritics 2')");
        !made)
        return made.error();
    auto windows = wordWindows(document, kRankedWords, kRankedStep);
    auto transaction = SqlTransaction::begin(*db);
    if (!transaction) return transaction.error();
    auto insert = db->prepare("INSERT INTO windows_fts(rowid, text) VALUES(?, ?)");
    if (!insert) return insert.error();
    for (std::size_t i = 0; i < windows.size(); ++i) {
        const auto text = std::string_view(document.text).substr(windows[i].span.first, windows[i].span.count);
        if (auto done = insert->bind(1, static_cast<std::int64_t>(i)).bind(2, text).run(); !done) return done.error();
    }
    if (auto committed = transaction->commit(); !committed) return committed.error();
    return WordIndex(std::move(*db), std::move(windows));
}

Result<std::vector<RankedWindow>> WordIndex::rank(std::string_view question, std::size_t limit) {
    std::vector<RankedWindow> ranked;
    const std::string expression = matchExpression(question);
    if (expression.empty()) return ranked;
    auto query =
        db_.prepare("SELECT rowid, bm25(windows_fts) FROM windows_fts WHERE windows_fts MATCH ? ORDER BY 2, 1 LIMIT ?");
    if (!query) return query.error();
    query->bind(1, expression).bind(2, static_cast<std::int64_t>(limit));
    while (true) {
        const auto row = query->step();
        if (!row) return row.error();
        if (!*row) return ranked;
        ranked.push_back({static_cast<std::size_t>(query->integer(0)), -query->real(1)});
    }
}

Result<std::vector<std::vector<std::size_t>>> WordIndex::occurrences(std::string_view text) {
    std::vector<std::vector<std::size_t>> found;
    auto query = db_.prepare("SELECT rowid FROM windows_fts WHERE windows_fts MATCH ? ORDER BY 1");
    if (!query) return query.error();
    for (const auto word : queryWords(wordsOf(text))) {
        std::vector<std::size_t>& windows = found.emplace_back();
        query->bind(1, quoted(word));
        while (true) {
            const auto row = query->step();
            if (!row) return row.error();
            if (!*row) break;
            windows.push_back(static_cast<std::size_t>(query->integer(0)));
        }
    }
    return found;
}

}  // namespace carrel
