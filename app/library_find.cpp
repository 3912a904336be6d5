#include "library_find.h"

#include <algorithm>

namespace carrel::app {
namespace {

constexpr QChar kFrom(2), kTo(3);  // around what was found

QString oneLine(const std::string& text) {
    return QString::fromStdString(text).simplified();
}

QString styled(const std::string& snippet) {
    QString html = oneLine(snippet).toHtmlEscaped();
    html.replace(kFrom, QLatin1String("<b>"));
    html.replace(kTo, QLatin1String("</b>"));
    return html;
}

QString plain(const std::string& snippet) {
    QString text = oneLine(snippet);
    return text.remove(kFrom).remove(kTo);
}

/// What is boxed on the page: the words as they were typed where they stand so, or the longest that was found.
QString toBox(const Hit& hit, const QString& typed) {
    const QString words = typed.simplified();
    if (oneLine(hit.text).contains(words, Qt::CaseInsensitive)) return words;
    const QString snippet = oneLine(hit.snippet);
    QString longest;
    for (qsizetype from = snippet.indexOf(kFrom); from >= 0; from = snippet.indexOf(kFrom, from + 1)) {
        const QString one = snippet.mid(from + 1, snippet.indexOf(kTo, from) - from - 1);
        if (one.size() > longest.size()) longest = one;
    }
    return longest;
}

}  // namespace

LibraryFind::LibraryFind(EnginePort& port, LibraryModel& documents, QObject* parent)
    : QAbstractListModel(parent), port_(port), documents_(documents) {}

int LibraryFind::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(hits_.size());
}

QHash<int, QByteArray> LibraryFind::roleNames() const {
    return {{TitleRole, "title"}, {PlaceRole, "place"}, {SnippetRole, "snippet"}, {PlainRole, "plain"}};
}

QVariant LibraryFind::data(const QModelIndex& index, int role) const {
    if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
    const Hit& hit = hits_[static_cast<std::size_t>(index.row())];
    switch (role) {
        case TitleRole: {
            const DocumentRow* row = documents_.find(QString::fromStdString(hit.document));
            return row ? QString::fromStdString(row->title) : QString();
        }
        case PlaceRole:
            return oneLine(hit.place);
        case SnippetRole:
            return styled(hit.snippet);
        case PlainRole:
            return plain(hit.snippet);
        default:
            return {};
    }
}

QString LibraryFind::note() const {
    if (words_.isEmpty() || !searched_) return {};
    if (hits_.empty()) return tr("No document has these words. Encrypted documents are not searched.");
    if (hits_.size() == 1) return tr("1 place");
    return hits_.size() < kMostHits ? tr("%1 places, the best first").arg(rowCount())
                                    : tr("The best %1 places").arg(rowCount());
}

void LibraryFind::setWords(const QString& words) {
    if (words == words_) return;
    words_ = words;
    const auto show = [this](std::vector<Hit> hits, bool searched) {
        beginResetModel();
        hits_ = std::move(hits);
        endResetModel();
        searched_ = searched;
        emit changed();
    };
    ++search_;
    if (words.trimmed().isEmpty()) return show({}, false);
    emit changed();
    port_.findAll(words.toStdString(), [this, words, show, search = search_](const Result<std::vector<Hit>>& hits) {
        if (search != search_) return;
        if (!hits) {
            emit problem(problemOf(hits.error(), Doing::Find, {}, [this, words] {
                words_.clear();
                setWords(words);
            }));
            return;
        }
        // One that is forgotten and not deleted yet is found no more.
        std::vector<Hit> shown = *hits;
        std::erase_if(shown, [this](const Hit& hit) { return !documents_.find(QString::fromStdString(hit.document)); });
        show(std::move(shown), true);
    });
}

void LibraryFind::open(int row) {
    if (row < 0 || row >= rowCount()) return;
    const Hit& hit = hits_[static_cast<std::size_t>(row)];
    emit hitWanted(QString::fromStdString(hit.document), toBox(hit, words_), static_cast<int>(hit.page),
                   hit.span.first);
}

}  // namespace carrel::app
