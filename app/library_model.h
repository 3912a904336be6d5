#pragma once

#include "document_text.h"

#include <QtQml/qqmlregistration.h>
#include <QAbstractListModel>
#include <QHash>

#include <functional>

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
        StateRole,     // by name
        BriefRole,     // pages, bytes on disk, used last
        FullRole,      // all there is to say, a line each
        FractionRole,  // read, 0..1; negative: nothing is being read
        UsableRole,    // text is there
        ReadRole       // something of it is read, by whatever model
    };

    /// paused: whether the person paused a document's reading.
    explicit LibraryModel(std::function<bool(const QString&)> paused = {}) : paused_(std::move(paused)) {}
    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QHash<int, QByteArray> roleNames() const override;
    int count() const { return static_cast<int>(rows_.size()); }

    void setDocuments(std::vector<DocumentRow> rows);
    void put(const DocumentRow& row, int at = 0);  // new or changed: there
    void remove(const QString& sha);
    void setReading(const QString& sha, const QString& text, double fraction);  // under way; empty text: none is
    void setStored(const std::vector<StoredReading>& readings);                 // of all documents
    int indexOf(const QString& sha) const;
    DocumentFacts facts(int row) const;
    const DocumentRow* find(const QString& sha) const;
    const DocumentRow* at(int row) const;

  signals:
    void countChanged();

  private:
    struct Reading {
        QString text;
        double fraction = -1;
    };
    std::function<bool(const QString&)> paused_;
    std::vector<DocumentRow> rows_;
    QHash<QString, Reading> readings_;
    QHash<QString, std::vector<StoredReading>> stored_;
};

}  // namespace carrel::app
