#pragma once

#include "engine_port.h"
#include "error_text.h"
#include "library_model.h"

namespace carrel::app {

/// What was found in all documents of the library, best first. Needs no model.
class LibraryFind : public QAbstractListModel {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(QString words READ words WRITE setWords NOTIFY changed)  // looked for; empty: nothing is
    Q_PROPERTY(QString note READ note NOTIFY changed)                   // what came of it, in words

  public:
    enum Role {
        TitleRole = Qt::UserRole + 1,  // of the document
        PlaceRole,                     // "p. 12", or a heading
        SnippetRole,                   // styled text, what was found in bold
        PlainRole                      // the same without style
    };
    LibraryFind(EnginePort& port, LibraryModel& documents, QObject* parent = nullptr);

    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QHash<int, QByteArray> roleNames() const override;
    QString words() const { return words_; }
    QString note() const;
    void setWords(const QString& words);
    Q_INVOKABLE void open(int row);

  signals:
    void changed();
    /// Words as they stand in the document, and the place to look from: a page from 1, and a byte where there are none.
    void hitWanted(const QString& sha, const QString& words, int page, quint64 byte);
    void problem(const carrel::app::Problem& problem);

  private:
    EnginePort& port_;
    LibraryModel& documents_;
    QString words_;
    std::vector<Hit> hits_;
    quint64 search_ = 0;  // the latest: answers to older ones are late
    bool searched_ = false;
};

}  // namespace carrel::app
