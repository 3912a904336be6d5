#include "chat_controller.h"

#include <algorithm>

namespace carrel::app {

constexpr auto kDraftSave = std::chrono::milliseconds(500);
constexpr auto kWaitTick = std::chrono::milliseconds(500);  // seconds are shown
constexpr auto kPartialSave = std::chrono::milliseconds(1000);

ChatController::ChatController(EnginePort& port, Passwords& passwords, std::function<bool(const QString&)> canAnswer,
                               QObject* parent)
    : QObject(parent), port_(port), passwords_(passwords), canAnswer_(std::move(canAnswer)) {
    connect(&port, &EnginePort::turnStage, this, &ChatController::staged);
    connect(&port, &EnginePort::questionProgress, this, &ChatController::readQuestion);
    connect(&port, &EnginePort::turnText, this, &ChatController::arrived);
    connect(&port, &EnginePort::answered, this, &ChatController::answered);
    connect(&port, &EnginePort::turnFailed, this, &ChatController::failed);
    draftTimer_.setSingleShot(true);
    draftTimer_.setInterval(kDraftSave);
    saveTimer_.setInterval(kPartialSave);
    waitTimer_.setInterval(kWaitTick);
    connect(&waitTimer_, &QTimer::timeout, this, &ChatController::nameWaits);
    connect(&draftTimer_, &QTimer::timeout, this, &ChatController::flushDraft);
    connect(&saveTimer_, &QTimer::timeout, this, &ChatController::savePartial);
}

void ChatController::report(const Status& status, Doing doing) {
    if (!status) emit problem(problemOf(status.error(), doing, {}, [this] { saveNow(); }));
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
    return !ticketsOf(current_).empty();
}

std::vector<quint64> ChatController::ticketsOf(const QString& chat) const {
    std::vector<quint64> tickets;
    if (chat.isEmpty()) return tickets;
    for (const auto& [ticket, turn] : active_)
        if (turn.row.chat == chat.toStdString()) tickets.push_back(ticket);
    return tickets;
}

ChatController::List ChatController::list(const QString& chat) const {
    const auto found = lists_.find(chat);
    return found == lists_.end() ? List{} : found->second;
}

void ChatController::open(const QString& document) {
    flushDraft();
    if (document == document_) return;
    document_ = document;
    current_.clear();
    conversation_.setTurns({});
    emit turnShown({});
    setChats({});
    emit currentChanged();
    if (document.isEmpty()) return;
    port_.chats(document.toStdString(), [this, document](const Result<std::vector<ChatRow>>& rows) {
        if (document != document_) return;
        if (!rows) {
            emit problem(problemOf(rows.error(), Doing::Open, {}, [this, document] {
                document_.clear();
                open(document);
            }));
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
            emit problem(problemOf(chat.error(), Doing::Save, {}, [this] { newChat(); }));
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
    emit turnShown({});
    emit currentChanged();
    emit draftReplaced();
    emit answeringChanged();
    emit listChanged();
    if (chat.isEmpty()) return;
    port_.turns(chat.toStdString(), [this, chat](const Result<std::vector<TurnRow>>& rows) {
        if (chat != current_) return;
        if (!rows) {
            emit problem(problemOf(rows.error(), Doing::Open, {}, [this, chat] {
                current_.clear();
                show(chat);
            }));
            return;
        }
        std::vector<TurnRow> turns = *rows;
        for (const quint64 ticket : ticketsOf(chat))  // memory is ahead of the disk
            for (TurnRow& turn : turns)
                if (turn.id == active_[ticket].row.id) turn = active_[ticket].row;
        conversation_.setTurns(turns);
        const auto ended = std::ranges::find_if(turns.rbegin(), turns.rend(), [](const TurnRow& turn) {
            return turn.state == TurnState::Done || turn.state == TurnState::Stopped;
        });
        if (ended != turns.rend()) emit turnShown(*ended);
        for (const TurnRow& turn : turns)
            if (const auto known = problems_.find(turn.id); known != problems_.end())
                conversation_.setRemedy(turn.id, remedyText(known->second.remedy));
        nameWaits();
    });
}

void ChatController::forgetChat(const QString& chat) {
    drop([&](const Active& turn) { return turn.row.chat == chat.toStdString(); });
    port_.forgetChat(chat.toStdString(), [this, chat](const Status& done) {
        if (!done) emit problem(problemOf(done.error(), Doing::Forget, {}, [this, chat] { forgetChat(chat); }));
    });
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
        const TurnRow& row = it->second.row;
        if (it->second.listed && it->second.asked) leaving_[it->first] = listTail(row.chat, row.id);
        lists_.erase(QString::fromStdString(row.chat));
        const qint64 id = row.id;
        it = active_.erase(it);
        if (id != 0) emit ended(id);
    }
    emit answeringChanged();
    emit listChanged();
}

void ChatController::hide(const QString& document) {
    std::vector<quint64> unsent;
    for (auto& [ticket, turn] : active_) {
        if (turn.document != document) continue;
        turn.stop.request_stop();
        if (!turn.asked && turn.row.id != 0) unsent.push_back(ticket);
    }
    for (const quint64 ticket : unsent) endUnsent(ticket);
    if (document == document_) open({});
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
    if (!draftTimer_.isActive()) draftTimer_.start();  // a person who never pauses is saved all the same
}

void ChatController::flushDraft() {
    draftTimer_.stop();
    if (!draftDirty_ || current_.isEmpty()) return;
    draftDirty_ = false;
    const auto found = std::ranges::find(chats_, current_.toStdString(), &ChatRow::id);
    if (found != chats_.end()) found->draft = draft_.toStdString();
    port_.saveDraft(current_.toStdString(), draft_.toStdString(),
                    [this](const Status& done) { report(done, Doing::Save); });
}

void ChatController::saveNow() {
    flushDraft();
    savePartial();
}

void ChatController::remedy(qint64 id) {
    const TurnRow* turn = conversation_.turn(id);
    if (!turn) return;
    const auto known = problems_.find(id);
    if (known == problems_.end() || known->second.remedy == Remedy::TryAgain)
        ask(QString::fromStdString(turn->question));
    else
        emit remedyWanted(known->second);
}

QStringList ChatController::texts() const {
    QStringList out{draft_};
    for (const ChatRow& chat : chats_) out << QString::fromStdString(chat.title) << QString::fromStdString(chat.draft);
    for (int row = 0; row < conversation_.rowCount(); ++row) {
        const QModelIndex at = conversation_.index(row);
        out << at.data(ConversationModel::PlainRole).toString();
        if (const TurnRow* turn = conversation_.turn(at.data(ConversationModel::TurnRole).toLongLong()))
            out << QString::fromStdString(turn->question) << QString::fromStdString(turn->answer);
    }
    return out;
}

void ChatController::openSource(qint64 id, int index) {
    const TurnRow* turn = conversation_.turn(id);
    if (!turn || index < 0 || index >= static_cast<int>(turn->sources.size())) return;
    emit turnShown(*turn);
    emit sourceOpened(turn->sources[static_cast<std::size_t>(index)]);
}

void ChatController::showPages(qint64 id) {
    if (const TurnRow* turn = conversation_.turn(id)) emit turnShown(*turn);
}

}  // namespace carrel::app
