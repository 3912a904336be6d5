#include "conversation_model.h"

#include "words.h"

namespace carrel::app {
namespace {

bool isOpen(TurnState s) {
    return s == TurnState::Queued || s == TurnState::Opening || s == TurnState::ReadingQuestion ||
           s == TurnState::Answering;
}

bool hasFailed(TurnState s) {
    return s == TurnState::Failed || s == TurnState::Interrupted;
}

ConversationModel::Kind kindOf(MarkdownBlock::Kind kind) {
    using From = MarkdownBlock::Kind;
    switch (kind) {
        case From::Heading:
            return ConversationModel::Heading;
        case From::List:
            return ConversationModel::List;
        case From::Code:
            return ConversationModel::Code;
        case From::Table:
            return ConversationModel::Table;
        case From::Quote:
            return ConversationModel::Quote;
        case From::Rule:
            return ConversationModel::Rule;
        case From::Paragraph:
            break;
    }
    return ConversationModel::Paragraph;
}

QString withoutSources(Provenance provenance) {
    const auto say = [](const char* text) { return ConversationModel::tr(text); };
    if (provenance == Provenance::NotSaid)
        return say(QT_TR_NOOP("The answer says that the document does not tell: no place is given for that."));
    return say(QT_TR_NOOP("Carrel cannot tell where this came from."));
}

}  // namespace

int ConversationModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(rows_.size());
}

QHash<int, QByteArray> ConversationModel::roleNames() const {
    return {{KindRole, "kind"},       {HtmlRole, "html"},       {PlainRole, "plain"},   {LanguageRole, "language"},
            {LevelRole, "level"},     {ColumnsRole, "columns"}, {CellsRole, "cells"},   {TurnRole, "turn"},
            {SourcesRole, "sources"}, {OpenRole, "open"},       {FailedRole, "failed"}, {AnswerRole, "answer"},
            {PagesRole, "pages"},     {RemedyRole, "remedy"}};
}

QVariant ConversationModel::data(const QModelIndex& index, int role) const {
    if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
    const Row& row = rows_[index.row()];
    const Turn& turn = turns_[row.turn];
    switch (role) {
        case KindRole:
            return row.kind;
        case HtmlRole:
            return row.block.html;
        case PlainRole:
            if (row.kind == Sources) return turn.row.sources.empty() ? withoutSources(turn.row.provenance) : QString();
            return row.kind == Note ? note(turn) : row.block.plain;
        case LanguageRole:
            return row.block.language;
        case LevelRole:
            return row.block.level;
        case ColumnsRole:
            return row.block.columns;
        case CellsRole:
            return row.block.cells;
        case TurnRole:
            return QVariant::fromValue<qint64>(turn.row.id);
        case SourcesRole:
            return row.kind == Sources ? sources(turn) : QVariantList();
        case OpenRole:
            return isOpen(turn.row.state);
        case FailedRole:
            return hasFailed(turn.row.state);
        case AnswerRole:
            return row.kind == Note ? turn.answer : QString();
        case PagesRole:
            return row.kind == Note && !turn.row.pageShares.empty();
        case RemedyRole:
            if (row.kind != Note || !hasFailed(turn.row.state)) return QString();
            return turn.remedy.isEmpty() ? tr("Try again") : turn.remedy;
        default:
            return {};
    }
}

QString ConversationModel::note(const Turn& turn) const {
    const QString reason = QString::fromStdString(turn.row.reason);
    const QString coverage = coverageText(turn.row.coverage, pagesWithoutText_, turn.row.droppedTurns);
    const bool known = turn.row.coverage.tokensTotal > 0;
    switch (turn.row.state) {
        case TurnState::Queued:
        case TurnState::Opening:
        case TurnState::ReadingQuestion:
        case TurnState::Answering:
            return turn.wait.isEmpty() ? tr("Waiting to be answered…") : turn.wait;
        case TurnState::Done:
            return known ? coverage : QString();
        case TurnState::Stopped:
            return known ? tr("Stopped by you. %1").arg(coverage) : tr("Stopped by you");
        case TurnState::Failed:
            return reason.isEmpty() ? tr("This answer failed. Your question is kept.") : reason;
        case TurnState::Interrupted:
            return tr("Carrel was closed while this was being answered. The question, and what was written, are kept.");
    }
    return {};
}

QVariantList ConversationModel::sources(const Turn& turn) const {
    QVariantList list;
    for (const Source& source : turn.row.sources) {
        const QString place = QString::fromStdString(source.place), quote = quoteText(source.quote);
        const QString where = title_.isEmpty() ? place : title_ + QStringLiteral(", ") + place;
        list << QVariantMap{{QStringLiteral("title"), place},
                            {QStringLiteral("quote"), quote},
                            {QStringLiteral("share"), static_cast<double>(source.share)},
                            {QStringLiteral("copy"), quote.isEmpty() ? where : tr("“%1” (%2)").arg(quote, where)}};
    }
    return list;
}

bool ConversationModel::hasSourcesRow(const TurnRow& row) {
    const bool ended = row.state == TurnState::Done || row.state == TurnState::Stopped;
    return !row.sources.empty() || (ended && row.provenance != Provenance::Shown);
}

void ConversationModel::setDocument(const QString& title, std::vector<std::uint32_t> pagesWithoutText) {
    title_ = title;
    pagesWithoutText_ = std::move(pagesWithoutText);
    if (!rows_.isEmpty())
        emit dataChanged(index(0), index(static_cast<int>(rows_.size()) - 1), {PlainRole, SourcesRole});
}

QList<ConversationModel::Row> ConversationModel::answerRows(int turn, const QString& text) const {
    QList<Row> rows;
    for (const MarkdownBlock& block : parseMarkdown(text)) rows << Row{kindOf(block.kind), turn, block};
    return rows;
}

int ConversationModel::noteRow(const Turn& turn) const {
    int row = turn.firstRow;
    while (rows_[row].kind != Note) ++row;
    return row;
}

int ConversationModel::indexOf(qint64 id) const {
    for (int i = static_cast<int>(turns_.size()) - 1; i >= 0; --i)
        if (turns_[i].row.id == id) return i;
    return -1;
}

const TurnRow* ConversationModel::turn(qint64 id) const {
    const int i = indexOf(id);
    return i < 0 ? nullptr : &turns_[i].row;
}

void ConversationModel::setTurns(const std::vector<TurnRow>& turns) {
    beginResetModel();
    rows_.clear();
    turns_.clear();
    for (const TurnRow& row : turns) {
        const int i = static_cast<int>(turns_.size());
        Turn turn{row, QString::fromStdString(row.answer), {}, {}, static_cast<int>(rows_.size()), 0, 0};
        MarkdownBlock question;
        question.plain = QString::fromStdString(row.question);
        rows_ << Row{Question, i, question};
        turn.openRow = static_cast<int>(rows_.size());
        rows_ << answerRows(i, turn.answer);
        if (hasSourcesRow(row)) rows_ << Row{Sources, i, {}};
        rows_ << Row{Note, i, {}};
        turns_ << turn;
    }
    endResetModel();
}

void ConversationModel::addTurn(const TurnRow& row) {
    const int first = static_cast<int>(rows_.size());
    MarkdownBlock question;
    question.plain = QString::fromStdString(row.question);
    beginInsertRows({}, first, first + 1);
    const int i = static_cast<int>(turns_.size());
    turns_ << Turn{row, {}, {}, {}, first, first + 1, 0};
    rows_ << Row{Question, i, question} << Row{Note, i, {}};
    endInsertRows();
}

// Of one turn; the rows of those behind it move along.
void ConversationModel::replaceRows(int turn, int first, int count, const QList<Row>& rows) {
    const int more = static_cast<int>(rows.size()) - count;
    const auto shift = [&] {
        for (int i = turn + 1; i < turns_.size(); ++i) {
            turns_[i].firstRow += more;
            turns_[i].openRow += more;
        }
    };
    int same = 0;
    while (same < count && same < rows.size() && rows_[first + same] == rows[same]) ++same;
    const int common = std::min(count, static_cast<int>(rows.size()));
    for (int i = same; i < common; ++i) rows_[first + i] = rows[i];
    if (same < common) emit dataChanged(index(first + same), index(first + common - 1));
    if (count > common) {
        beginRemoveRows({}, first + common, first + count - 1);
        rows_.remove(first + common, count - common);
        shift();
        endRemoveRows();
    } else if (rows.size() > common) {
        beginInsertRows({}, first + common, first + static_cast<int>(rows.size()) - 1);
        for (qsizetype i = common; i < rows.size(); ++i) rows_.insert(first + i, rows[i]);
        shift();
        endInsertRows();
    }
}

void ConversationModel::renderOpenPart(int i) {
    Turn& turn = turns_[i];
    const QString open = turn.answer.mid(turn.openStart);
    const qsizetype cut = openPart(open);
    const QList<Row> closed = answerRows(i, open.left(cut));
    QList<Row> all = closed;
    all << answerRows(i, withoutDanglingMarks(open.mid(cut)));
    int count = 0;
    for (int row = turn.openRow; rows_[row].kind != Note && rows_[row].kind != Sources; ++row) ++count;
    replaceRows(i, turn.openRow, count, all);
    turn.openRow += static_cast<int>(closed.size());
    turn.openStart += cut;
}

void ConversationModel::appendText(qint64 id, const QString& text) {
    const int i = indexOf(id);
    if (i < 0) return;
    turns_[i].answer += text;
    renderOpenPart(i);
}

void ConversationModel::setWait(qint64 id, const QString& text) {
    const int i = indexOf(id);
    if (i < 0 || turns_[i].wait == text) return;
    turns_[i].wait = text;
    const QModelIndex at = index(noteRow(turns_[i]));
    emit dataChanged(at, at, {PlainRole});
}

void ConversationModel::setRemedy(qint64 id, const QString& text) {
    const int i = indexOf(id);
    if (i < 0 || turns_[i].remedy == text) return;
    turns_[i].remedy = text;
    const QModelIndex at = index(noteRow(turns_[i]));
    emit dataChanged(at, at, {RemedyRole});
}

void ConversationModel::updateTurn(const TurnRow& row) {
    const int i = indexOf(row.id);
    if (i < 0) return;
    Turn& turn = turns_[i];
    const QString answer = QString::fromStdString(row.answer);
    turn.row = row;
    if (!isOpen(row.state)) {
        turn.answer = answer;
        const int first = turn.firstRow + 1;
        QList<Row> rows = answerRows(i, answer);
        if (hasSourcesRow(row)) rows << Row{Sources, i, {}};
        replaceRows(i, first, noteRow(turn) - first, rows);
    }
    emit dataChanged(index(turn.firstRow), index(noteRow(turn)),
                     {PlainRole, OpenRole, FailedRole, SourcesRole, AnswerRole, PagesRole, RemedyRole});
}

}  // namespace carrel::app
