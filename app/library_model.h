#pragma once

#include <carrel/library.h>

#include <QtQml/qqmlregistration.h>
#include <QAbstractListModel>
#include <QHash>

namespace carrel::app {

/// The documents, last opened first, with what is known of each one's reading.
class LibraryModel : public QAbstractListModel {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("LibraryController owns it")
    Q_PROPERTY(int count READ count NOTIFY countChanged)

  public:
    enum Role {
        ShaRole = Qt::UserRole + 1,  // SHA-256, hex: the document's name everywhere
        TitleRole,
        DetailRole,    // pages and size, or why it cannot be used
        ReadingRole,   // how far it is read, in words; empty: not known
        FractionRole,  // read, 0..1; negative: nothing is being read
        UsableRole     // text is there
    };

    using QAbstractListModel::QAbstractListModel;
    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QHash<int, QByteArray> roleNames() const override;
    int count() const { return static_cast<int>(rows_.size()); }

    void setDocuments(std::vector<DocumentRow> rows);
    void put(const DocumentRow& row);  // new or changed: to the front
    void remove(const QString& sha);
    void setReading(const QString& sha, const QString& text, double fraction);
    const DocumentRow* find(const QString& sha) const;
    const DocumentRow* at(int row) const;

  signals:
    void countChanged();

  private:
    struct Reading {
        QString text;
        double fraction = -1;
    };
    int indexOf(const QString& sha) const;

    std::vector<DocumentRow> rows_;
    QHash<QString, Reading> readings_;
};

}  // namespace carrel::app
