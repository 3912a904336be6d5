#include "library_model.h"

#include <algorithm>

namespace carrel::app {

int LibraryModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : count();
}

QHash<int, QByteArray> LibraryModel::roleNames() const {
    return {{ShaRole, "sha"},   {TitleRole, "title"},       {StateRole, "stateName"}, {BriefRole, "brief"},
            {FullRole, "full"}, {FractionRole, "fraction"}, {UsableRole, "usable"},   {ReadRole, "read"}};
}

DocumentFacts LibraryModel::facts(int row) const {
    const DocumentRow& document = rows_[static_cast<std::size_t>(row)];
    const QString sha = QString::fromStdString(document.sha256);
    return {document, stored_.value(sha), readings_.value(sha).text, paused_ && paused_(sha)};
}

QVariant LibraryModel::data(const QModelIndex& index, int role) const {
    if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
    const DocumentRow& row = rows_[static_cast<std::size_t>(index.row())];
    const QString sha = QString::fromStdString(row.sha256);
    switch (role) {
        case ShaRole:
            return sha;
        case TitleRole:
            return QString::fromStdString(row.title);
        case StateRole:
            return stateText(facts(index.row()));
        case BriefRole:
            return briefText(facts(index.row()));
        case FullRole:
            return fullText(facts(index.row()));
        case FractionRole:
            return readings_.value(sha).fraction;
        case UsableRole:
            return row.state == DocumentState::Ready;
        case ReadRole:
            return !stored_.value(sha).empty() || readings_.value(sha).fraction > 0;
        default:
            return {};
    }
}

int LibraryModel::indexOf(const QString& sha) const {
    const std::string key = sha.toStdString();
    const auto found = std::ranges::find(rows_, key, &DocumentRow::sha256);
    return found == rows_.end() ? -1 : static_cast<int>(found - rows_.begin());
}

const DocumentRow* LibraryModel::at(int row) const {
    return row >= 0 && row < count() ? &rows_[static_cast<std::size_t>(row)] : nullptr;
}

const DocumentRow* LibraryModel::find(const QString& sha) const {
    return at(indexOf(sha));
}

void LibraryModel::setDocuments(std::vector<DocumentRow> rows) {
    beginResetModel();
    rows_ = std::move(rows);
    endResetModel();
    emit countChanged();
}

void LibraryModel::put(const DocumentRow& row, int at) {
    const int old = indexOf(QString::fromStdString(row.sha256));
    at = std::clamp(at, 0, old < 0 ? count() : count() - 1);
    const auto begin = rows_.begin();
    if (old > at) {
        beginMoveRows({}, old, old, {}, at);
        std::rotate(begin + at, begin + old, begin + old + 1);
        endMoveRows();
    }
    if (old >= 0) {
        const int now = std::min(old, at);
        rows_[static_cast<std::size_t>(now)] = row;
        emit dataChanged(index(now), index(now));
        return;
    }
    beginInsertRows({}, at, at);
    rows_.insert(begin + at, row);
    endInsertRows();
    emit countChanged();
}

void LibraryModel::remove(const QString& sha) {
    const int row = indexOf(sha);
    if (row < 0) return;
    beginRemoveRows({}, row, row);
    rows_.erase(rows_.begin() + row);
    readings_.remove(sha);
    endRemoveRows();
    emit countChanged();
}

void LibraryModel::setStored(const std::vector<StoredReading>& readings) {
    stored_.clear();
    for (const StoredReading& reading : readings) stored_[QString::fromStdString(reading.document)].push_back(reading);
    if (count() > 0) emit dataChanged(index(0), index(count() - 1), {StateRole, BriefRole, FullRole, ReadRole});
}

void LibraryModel::setReading(const QString& sha, const QString& text, double fraction) {
    readings_[sha] = {text, fraction};
    if (const int row = indexOf(sha); row >= 0)
        emit dataChanged(index(row), index(row), {StateRole, FullRole, FractionRole, ReadRole});
}

}  // namespace carrel::app
