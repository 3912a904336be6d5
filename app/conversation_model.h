#pragma once

#include "markdown.h"

#include <carrel/library.h>

#include <QtQml/qqmlregistration.h>
#include <QAbstractListModel>
#include <QVariantList>

namespace carrel::app {

/// A chat as a flat list: one row per question, per block of an answer, per answer's sources and closing note. While an
/// answer is written only its last rows change; earlier ones are never parsed again and the view recycles them.
class ConversationModel : public QAbstractListModel {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("ChatController owns it")

  public:
    enum Kind { Question, Paragraph, Heading, List, Code, Table, Quote, Rule, Sources, Note };
    Q_ENUM(Kind)
    enum Role {
        KindRole = Qt::UserRole + 1,  // Kind
        HtmlRole,                     // tags of parseMarkdown only
        PlainRole,                    // for code, copying and screen readers; Note: its sentence
        LanguageRole,                 // Code
        LevelRole,                    // Heading
        ColumnsRole,
        CellsRole,    // Table
        TurnRole,     // the turn's id
        SourcesRole,  // list of {title, quote, share, copy}; the index is the source's. Empty: PlainRole says why
        OpenRole,     // the turn is still under way
        FailedRole,   // the turn failed or was interrupted
        AnswerRole,   // Note: the whole answer, for copying
        PagesRole,    // Note: it is known where on the pages the answer was read
        RemedyRole    // Note of a turn that failed: its button
    };

    using QAbstractListModel::QAbstractListModel;
    int rowCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QHash<int, QByteArray> roleNames() const override;

    /// The document that the turns are about: its title, and pages that no answer could use.
    void setDocument(const QString& title, std::vector<std::uint32_t> pagesWithoutText);
    void setTurns(const std::vector<TurnRow>& turns);
    void addTurn(const TurnRow& turn);
    void appendText(qint64 turn, const QString& text);  // several turns may be under way
    void updateTurn(const TurnRow& turn);               // state, answer, sources, coverage
    void setWait(qint64 turn, const QString& text);     // what an open turn waits for, as its note says it
    void setRemedy(qint64 turn, const QString& text);   // without it, to ask again
    const TurnRow* turn(qint64 id) const;

  private:
    struct Row {
        Kind kind;
        int turn;  // index into turns_
        MarkdownBlock block;
        bool operator==(const Row&) const = default;
    };
    struct Turn {
        TurnRow row;
        QString answer, wait, remedy;
        int firstRow = 0;
        int openRow = 0;          // first row of the part that more text can change
        qsizetype openStart = 0;  // where that part begins in answer
    };

    QList<Row> answerRows(int turn, const QString& text) const;
    void replaceRows(int turn, int first, int count, const QList<Row>& rows);
    void renderOpenPart(int turn);
    int noteRow(const Turn& turn) const;
    int indexOf(qint64 id) const;
    static bool hasSourcesRow(const TurnRow& row);
    QString note(const Turn& turn) const;
    QVariantList sources(const Turn& turn) const;

    QList<Turn> turns_;
    QList<Row> rows_;
    QString title_;
    std::vector<std::uint32_t> pagesWithoutText_;
};

}  // namespace carrel::app
