#include "shown_library.h"

#include <algorithm>

namespace carrel::app {

ShownLibrary::ShownLibrary(LibraryModel& documents, QObject* parent)
    : QSortFilterProxyModel(parent), documents_(documents) {
    setSourceModel(&documents);
    sort(0);
}

void ShownLibrary::setWords(const QString& words) {
    if (words_ == words) return;
    words_ = words;
    invalidateFilter();
    emit changed();
}

void ShownLibrary::setOrder(Order order) {
    if (order_ == order) return;
    order_ = order;
    invalidate();
    emit changed();
}

bool ShownLibrary::filterAcceptsRow(int row, const QModelIndex&) const {
    const DocumentRow* document = documents_.at(row);
    if (!document) return false;
    const QString title = QString::fromStdString(document->title);
    const QStringList words = words_.split(QLatin1Char(' '), Qt::SkipEmptyParts);
    return std::ranges::all_of(words, [&](const QString& word) { return title.contains(word, Qt::CaseInsensitive); });
}

bool ShownLibrary::lessThan(const QModelIndex& left, const QModelIndex& right) const {
    const DocumentRow *a = documents_.at(left.row()), *b = documents_.at(right.row());
    if (!a || !b || order_ == LastUsed) return left.row() < right.row();
    switch (order_) {
        case Added:
            return a->addedAt > b->addedAt;
        case Size:
            return documents_.facts(left.row()).diskBytes() > documents_.facts(right.row()).diskBytes();
        default:
            const auto title = [](const DocumentRow& row) { return QString::fromStdString(row.title).toCaseFolded(); };
            return QString::localeAwareCompare(title(*a), title(*b)) < 0;
    }
}

}  // namespace carrel::app
