#include "chat_controller.h"

#include "error_text.h"

#include <algorithm>

namespace carrel::app {

constexpr auto kDraftPause = std::chrono::milliseconds(500);
constexpr auto kPartialSave = std::chrono::milliseconds(1000);

ChatController::ChatController(EnginePort& port, Passwords& passwords, std::function<bool(const QString&)> canAnswer,
                               QObject* parent)
    : QObject(parent), port_(port), passwords_(passwords), canAnswer_(std::move(canAnswer)) {
    connect(&port, &EnginePort::turnStage, this, &ChatController::staged);
    connect(&port, &EnginePort::turnText, this, &ChatController::arrived);
    connect(&port, &EnginePort::answered, this, &ChatController::answered);
    connect(&port, &EnginePort::turnFailed, this, &ChatController::failed);
    draftTimer_.setSingleShot(true);
    draftTimer_.setInterval(kDraftPause);
    saveTimer_.setInterval(kPartialSave);
    connect(&draftTimer_, &QTimer::timeout, this, &ChatController::flushDraft);
    connect(&saveTimer_, &QTimer::timeout, this, &ChatController::savePartial);
}

void ChatController::report(const Status& status) {
    if (!status) emit problem(errorText(status.error()));
}

QVariantList ChatController::chats() const {
    QVariantList list;
    for (const ChatRow& chat : chats_) {
        QString title = QString::fromStdString(chat.title).simplified();
        if (title.isEmpty()) title = tr("New chat");
        list << QVariantMap{{QStringLiteral("id"), QString::fromStdString(chat.id)}, {QStringLiteral("title"), title}};
    }
    return list;
}

bool ChatController::answering() const {
    return starting_ || ticketOf(current_) != 0;
}

quint64 ChatController::ticketOf(const QString& chat) const {
    const std::string key = chat.toStdString();
    for (const auto& [ticket, turn] : active_)
        if (turn.row.chat == key) return ticket;
    return 0;
}

void ChatController::open(const QString& document) {
    flushDraft();
    if (document == document_) return;
    document_ = document;
    current_.clear();
    conversation_.setTurns({});
    setChats({});
    emit currentChanged();
    if (document.isEmpty()) return;
    port_.chats(document.toStdString(), [this, document](const Result<std::vector<ChatRow>>& rows) {
        if (document != document_) return;
        if (!rows) {
            emit problem(errorText(rows.error()));
            return;
        }
        setChats(*rows);
        if (chats_.empty())
            newChat();
        else
            show(QString::fromStdString(chats_.front().id));
    });
}

void ChatController::setChats(std::vector<ChatRow> rows) {
    chats_ = std::move(rows);
    emit chatsChanged();
}

void ChatController::newChat() {
    if (document_.isEmpty()) return;
    port_.newChat(document_.toStdString(), [this, document = document_](const Result<ChatRow>& chat) {
        if (!chat) {
            emit problem(errorText(chat.error()));
            return;
        }
        if (document != document_) return;
        chats_.insert(chats_.begin(), *chat);
        emit chatsChanged();
        show(QString::fromStdString(chat->id));
    });
}

void ChatController::show(const QString& chat) {
    if (chat == current_) return;
    flushDraft();
    current_ = chat;
    const auto found = std::ranges::find(chats_, chat.toStdString(), &ChatRow::id);
    draft_ = found == chats_.end() ? QString() : QString::fromStdString(found->draft);
    conversation_.setTurns({});
    emit currentChanged();
    emit draftReplaced();
    emit answeringChanged();
    if (chat.isEmpty()) return;
    port_.turns(chat.toStdString(), [this, chat](const Result<std::vector<TurnRow>>& rows) {
        if (chat != current_) return;
        if (!rows) {
            emit problem(errorText(rows.error()));
            return;
        }
        std::vector<TurnRow> turns = *rows;
        if (const quint64 ticket = ticketOf(chat); ticket != 0)  // memory is ahead of the disk
            for (TurnRow& turn : turns)
                if (turn.id == active_[ticket].row.id) turn = active_[ticket].row;
        conversation_.setTurns(turns);
    });
}

void ChatController::forgetChat(const QString& chat) {
    drop([&](const Active& turn) { return turn.row.chat == chat.toStdString(); });
    port_.forgetChat(chat.toStdString(), [this](const Status& done) { report(done); });
    std::erase_if(chats_, [&](const ChatRow& row) { return row.id == chat.toStdString(); });
    emit chatsChanged();
    if (chat != current_) return;
    draftDirty_ = false;
    current_.clear();
    if (chats_.empty())
        newChat();
    else
        show(QString::fromStdString(chats_.front().id));
}

// Ends turns whose rows are about to go: there is nothing left to save them to.
void ChatController::drop(const std::function<bool(const Active&)>& which) {
    for (auto it = active_.begin(); it != active_.end();) {
        if (!which(it->second)) {
            ++it;
            continue;
        }
        it->second.stop.request_stop();
        const qint64 id = it->second.row.id;
        it = active_.erase(it);
        emit ended(id);
    }
    emit answeringChanged();
}

void ChatController::forget(const QString& document) {
    drop([&](const Active& turn) { return turn.document == document; });
    if (document != document_) return;
    draftDirty_ = false;
    open({});
}

void ChatController::edit(const QString& draft) {
    if (draft == draft_ || current_.isEmpty()) return;
    draft_ = draft;
    draftDirty_ = true;
    draftTimer_.start();
}

void ChatController::flushDraft() {
    draftTimer_.stop();
    if (!draftDirty_ || current_.isEmpty()) return;
    draftDirty_ = false;
    const auto found = std::ranges::find(chats_, current_.toStdString(), &ChatRow::id);
    if (found != chats_.end()) found->draft = draft_.toStdString();
    port_.saveDraft(current_.toStdString(), draft_.toStdString(), [this](const Status& done) { report(done); });
}

void ChatController::ask(const QString& question) {
    const QString trimmed = question.trimmed();
    if (trimmed.isEmpty() || current_.isEmpty() || answering()) return;
    starting_ = true;
    emit answeringChanged();
    // The row is written first: a question that is not on disk is not asked, and stays in the composer.
    port_.startTurn(current_.toStdString(), trimmed.toStdString(),
                    [this, document = document_, chat = current_, trimmed](const Result<std::int64_t>& id) {
                        starting_ = false;
                        if (id)
                            begin(document, chat, trimmed, *id);
                        else
                            emit problem(errorText(id.error()));
                        emit answeringChanged();
                    });
}

std::vector<PastTurn> ChatController::history() const {
    std::vector<PastTurn> past;
    for (int row = 0; row < conversation_.rowCount(); ++row) {
        const QModelIndex at = conversation_.index(row);
        if (at.data(ConversationModel::KindRole).toInt() != ConversationModel::Question) continue;
        const TurnRow* turn = conversation_.turn(at.data(ConversationModel::TurnRole).toLongLong());
        const bool counts = turn && (turn->state == TurnState::Done || turn->state == TurnState::Stopped);
        if (counts && !turn->answer.empty()) past.push_back({turn->question, turn->answer});
    }
    return past;
}

void ChatController::begin(const QString& document, const QString& chat, const QString& question, std::int64_t id) {
    const quint64 ticket = port_.nextTicket();
    Active& turn = active_[ticket];
    turn.row.id = id;
    turn.row.chat = chat.toStdString();
    turn.row.question = question.toStdString();
    turn.document = document;
    if (chat == current_) {
        turn.history = history();
        conversation_.addTurn(turn.row);
        draftTimer_.stop();
        draftDirty_ = false;
        draft_.clear();
        emit draftReplaced();
    }
    for (ChatRow& row : chats_) {
        if (row.id != turn.row.chat) continue;
        row.draft.clear();
        if (!row.title.empty()) continue;
        row.title = question.toStdString();
        emit chatsChanged();
    }
    saveTimer_.start();
    if (canAnswer_(turn.document)) send(ticket);
}

void ChatController::answerable(const QString& document) {
    std::vector<quint64> waiting;
    for (const auto& [ticket, turn] : active_)
        if (!turn.asked && turn.document == document) waiting.push_back(ticket);
    for (const quint64 ticket : waiting) send(ticket);
}

void ChatController::send(quint64 ticket) {
    Active& turn = active_[ticket];
    turn.asked = true;
    const std::string document = turn.document.toStdString();
    TurnRequest request;
    request.ticket = ticket;
    request.document = document;
    request.password = passwords_.of(document);
    request.chat = turn.row.chat;
    request.history = turn.history;
    request.question = turn.row.question;
    request.stop = turn.stop.get_token();
    port_.ask(std::move(request));
}

void ChatController::stop() {
    const quint64 ticket = ticketOf(current_);
    if (ticket == 0) return;
    active_[ticket].stop.request_stop();
    if (!active_[ticket].asked) {  // nobody else will end it
        Answer nothing;
        nothing.stopped = true;
        answered(ticket, nothing);
    }
}

void ChatController::stopAll() {
    for (auto& [ticket, turn] : active_) turn.stop.request_stop();
}

void ChatController::staged(quint64 ticket, TurnStage stage) {
    const auto found = active_.find(ticket);
    if (found == active_.end()) return;
    constexpr TurnState kStates[] = {TurnState::Queued, TurnState::Opening, TurnState::ReadingQuestion,
                                     TurnState::Answering};
    found->second.row.state = kStates[static_cast<int>(stage)];
    conversation_.updateTurn(found->second.row);
    save(found->second.row);
}

void ChatController::arrived(quint64 ticket, const QString& text) {
    const auto found = active_.find(ticket);
    if (found == active_.end()) return;
    Active& turn = found->second;
    turn.row.answer += text.toStdString();
    turn.unsaved = true;
    if (turn.row.chat == current_.toStdString()) conversation_.appendText(turn.row.id, text);
}

void ChatController::answered(quint64 ticket, const Answer& answer) {
    const auto found = active_.find(ticket);
    if (found == active_.end()) return;
    TurnRow& row = found->second.row;
    row.state = answer.stopped ? TurnState::Stopped : TurnState::Done;
    row.answer = answer.text;
    row.sources = answer.sources;
    row.coverage = answer.coverage;
    finish(ticket);
}

void ChatController::failed(quint64 ticket, const Error& error) {
    const auto found = active_.find(ticket);
    if (found == active_.end()) return;
    TurnRow& row = found->second.row;
    // Stopped before anything could be said: no failure, the person's own wish.
    row.state = error.code == Code::Cancelled ? TurnState::Stopped : TurnState::Failed;
    if (row.state == TurnState::Failed) row.reason = errorText(error).toStdString();
    finish(ticket);
}

void ChatController::finish(quint64 ticket) {
    const Active turn = std::move(active_.at(ticket));
    active_.erase(ticket);
    if (active_.empty()) saveTimer_.stop();
    save(turn.row);
    conversation_.updateTurn(turn.row);
    const bool shown = turn.row.chat == current_.toStdString();
    if (shown) emit answeringChanged();
    if (shown && !turn.row.sources.empty()) emit firstSource(turn.row.sources.front());
    emit ended(turn.row.id);
}

void ChatController::save(const TurnRow& row) {
    port_.saveTurn(row, [this](const Status& done) { report(done); });
}

void ChatController::savePartial() {
    for (auto& [ticket, turn] : active_) {
        if (!turn.unsaved) continue;
        turn.unsaved = false;
        save(turn.row);
    }
}

void ChatController::saveNow() {
    flushDraft();
    savePartial();
}

void ChatController::openSource(qint64 id, int index) {
    const TurnRow* turn = conversation_.turn(id);
    if (!turn || index < 0 || index >= static_cast<int>(turn->sources.size())) return;
    emit sourceOpened(turn->sources[static_cast<std::size_t>(index)]);
}

}  // namespace carrel::app
