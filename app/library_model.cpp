#include "library_model.h"

#include "words.h"

#include <algorithm>

namespace carrel::app {

int LibraryModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : count();
}

QHash<int, QByteArray> LibraryModel::roleNames() const {
    return {{ShaRole, "sha"},         {TitleRole, "title"},       {DetailRole, "detail"},
            {ReadingRole, "reading"}, {FractionRole, "fraction"}, {UsableRole, "usable"}};
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
        case DetailRole:
            switch (row.state) {
                case DocumentState::NeedsPassword:
                    return tr("Encrypted: open it to enter its password");
                case DocumentState::NoText:
                    return tr("No text in its pages (a scan?)");
                case DocumentState::Refused:
                    return tr("Cannot be used: %1").arg(QString::fromStdString(row.reason));
                case DocumentState::Adding:
                    return tr("Was not taken in completely: add it again");
                case DocumentState::Ready:
                    return documentText(row);
            }
            return {};
        case ReadingRole:
            return readings_.value(sha).text;
        case FractionRole:
            return readings_.value(sha).fraction;
        case UsableRole:
            return row.state == DocumentState::Ready;
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

void LibraryModel::put(const DocumentRow& row) {
    const int old = indexOf(QString::fromStdString(row.sha256));
    if (old > 0) {
        beginMoveRows({}, old, old, {}, 0);
        std::rotate(rows_.begin(), rows_.begin() + old, rows_.begin() + old + 1);
        endMoveRows();
    }
    if (old >= 0) {
        rows_.front() = row;
        emit dataChanged(index(0), index(0));
        return;
    }
    beginInsertRows({}, 0, 0);
    rows_.insert(rows_.begin(), row);
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

void LibraryModel::setReading(const QString& sha, const QString& text, double fraction) {
    readings_[sha] = {text, fraction};
    if (const int row = indexOf(sha); row >= 0) emit dataChanged(index(row), index(row), {ReadingRole, FractionRole});
}

}  // namespace carrel::app
