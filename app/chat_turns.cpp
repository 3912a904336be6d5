// One turn from the question's row to its end, alone or in a list.
#include "chat_controller.h"

#include <memory>

namespace carrel::app {

quint64 ChatController::make(const QString& document, const QString& question) {
    const quint64 ticket = port_.nextTicket();
    Active& turn = active_[ticket];
    turn.row.question = question.toStdString();
    turn.document = document;
    return ticket;
}

// The row is written first: a question that is not on disk is not asked.
void ChatController::write(quint64 ticket, const QString& chat, std::function<void(bool)> written) {
    Active& turn = active_.at(ticket);
    turn.row.chat = chat.toStdString();
    port_.startTurn(turn.row.chat, turn.row.question,
                    [this, ticket, question = QString::fromStdString(turn.row.question),
                     written = std::move(written)](const Result<std::int64_t>& id) {
                        if (!active_.contains(ticket)) return;  // its chat is gone
                        if (id) {
                            begin(ticket, *id);
                        } else {
                            active_.erase(ticket);
                            emit problem(problemOf(id.error(), Doing::Save, {}, [this, question] { ask(question); }));
                        }
                        if (written) written(static_cast<bool>(id));
                        emit answeringChanged();
                    });
}

void ChatController::ask(const QString& question) {
    const QString trimmed = question.trimmed();
    if (trimmed.isEmpty() || current_.isEmpty() || answering()) return;
    const quint64 ticket = make(document_, trimmed);
    active_.at(ticket).history = history();
    write(ticket, current_);
    emit answeringChanged();
}

void ChatController::askAll(const QStringList& questions) {
    if (current_.isEmpty()) return;
    std::vector<quint64> tickets;
    for (const QString& question : questions) {
        if (question.trimmed().isEmpty()) continue;
        tickets.push_back(make(document_, question.trimmed()));
        active_.at(tickets.back()).listed = true;
    }
    if (tickets.empty()) return;
    if (conversation_.rowCount() == 0 && draft_.isEmpty() && !answering()) return startList(current_, tickets);
    port_.newChat(
        document_.toStdString(), [this, document = document_, tickets, questions](const Result<ChatRow>& chat) {
            if (!active_.contains(tickets.front())) return;  // the document is gone
            if (!chat) {
                for (const quint64 ticket : tickets) active_.erase(ticket);
                emit problem(problemOf(chat.error(), Doing::Save, {}, [this, questions] { askAll(questions); }));
                return;
            }
            const QString id = QString::fromStdString(chat->id);
            if (document == document_) {
                chats_.insert(chats_.begin(), *chat);
                emit chatsChanged();
                show(id);
            }
            startList(id, tickets);
        });
}

void ChatController::startList(const QString& chat, const std::vector<quint64>& tickets) {
    lists_[chat] = {static_cast<int>(tickets.size()), 0};
    const auto saved = std::make_shared<std::size_t>(0);
    for (const quint64 ticket : tickets)
        write(ticket, chat, [this, chat, saved, all = tickets.size()](bool written) {
            if (written && ++*saved == all) emit listSaved();
            if (written) return;
            if (ticketsOf(chat).empty())
                lists_.erase(chat);
            else
                --lists_[chat].total;
            emit listChanged();
        });
    emit answeringChanged();
    emit listChanged();
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

void ChatController::begin(quint64 ticket, std::int64_t id) {
    Active& turn = active_.at(ticket);
    turn.row.id = id;
    if (turn.row.chat == current_.toStdString()) {
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
        row.title = turn.row.question;
        emit chatsChanged();
    }
    saveTimer_.start();
    waitTimer_.start();
    if (turn.stop.stop_requested())
        endUnsent(ticket);
    else if (canAnswer_(turn.document))
        send(ticket);
    nameWaits();
}

void ChatController::answerable(const QString& document) {
    std::vector<quint64> waiting;
    for (const auto& [ticket, turn] : active_)
        if (!turn.asked && turn.row.id != 0 && turn.document == document) waiting.push_back(ticket);
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
    request.chat = turn.listed ? listTail(turn.row.chat, turn.row.id) : turn.row.chat;
    request.history = turn.history;
    request.question = turn.row.question;
    request.stop = turn.stop.get_token();
    port_.ask(std::move(request));
}

void ChatController::stop() {
    for (const quint64 ticket : ticketsOf(current_)) {
        Active& turn = active_.at(ticket);
        turn.stop.request_stop();
        // Nothing was said yet, so there is nothing to wait for: what the engine still reports of it is dropped.
        if (turn.row.answer.empty() && turn.row.id != 0) endUnsent(ticket);
    }
    nameWaits();
}

void ChatController::endUnsent(quint64 ticket) {
    Answer nothing;
    nothing.stopped = true;
    answered(ticket, nothing);
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
    nameWaits();
    save(found->second.row);
}

void ChatController::readQuestion(quint64 ticket, quint32 done, quint32 total) {
    const auto found = active_.find(ticket);
    if (found == active_.end()) return;
    found->second.wait.done = done;
    found->second.wait.total = total;
    nameWaits();
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
    if (found == active_.end()) return forgetTail(ticket);
    TurnRow& row = found->second.row;
    row.state = answer.stopped ? TurnState::Stopped : TurnState::Done;
    row.answer = answer.text;
    row.sources = answer.sources;
    row.provenance = answer.provenance;
    row.pageShares = answer.pageShares;
    row.droppedTurns = answer.droppedTurns;
    row.coverage = answer.coverage;
    finish(ticket);
}

void ChatController::failed(quint64 ticket, const Error& error) {
    const auto found = active_.find(ticket);
    if (found == active_.end()) return forgetTail(ticket);
    TurnRow& row = found->second.row;
    // Stopped before anything could be said: no failure, the person's own wish.
    row.state = error.code == Code::Cancelled ? TurnState::Stopped : TurnState::Failed;
    if (row.state == TurnState::Failed) {
        const Problem why = problemOf(error, Doing::Answer, tr("this answer"), [] {});  // remedy() asks again
        row.reason = why.text.toStdString();
        problems_[row.id] = why;
    }
    finish(ticket);
}

void ChatController::finish(quint64 ticket) {
    const Active turn = std::move(active_.at(ticket));
    active_.erase(ticket);
    if (active_.empty()) {
        saveTimer_.stop();
        waitTimer_.stop();
    }
    save(turn.row);
    if (turn.listed && turn.asked) leaving_[ticket] = listTail(turn.row.chat, turn.row.id);
    forgetTail(ticket);
    conversation_.updateTurn(turn.row);
    if (const auto why = problems_.find(turn.row.id); why != problems_.end())
        conversation_.setRemedy(turn.row.id, remedyText(why->second.remedy));
    nameWaits();
    const QString chat = QString::fromStdString(turn.row.chat);
    const bool firstOfAll = !turn.listed || ++lists_[chat].ended == 1;
    if (turn.listed && ticketsOf(chat).empty()) lists_.erase(chat);
    const bool shown = chat == current_;
    if (shown) emit answeringChanged();
    if (shown) emit listChanged();
    const TurnState state = turn.row.state;
    if (shown)
        emit announced(state == TurnState::Done      ? tr("Answer finished")
                       : state == TurnState::Stopped ? tr("Answer stopped")
                                                     : tr("The answer failed"));
    // Of a list only the first answer turns the page: a person reads while the others end.
    if (shown && firstOfAll && !turn.row.sources.empty()) emit firstSource(turn.row.sources.front());
    if (shown && firstOfAll) emit turnShown(turn.row);
    emit ended(turn.row.id);
}

// Nothing follows up on it: the chat goes on with its own tail.
void ChatController::forgetTail(quint64 ticket) {
    const auto found = leaving_.find(ticket);
    if (found == leaving_.end()) return;
    port_.forgetTail(found->second);
    leaving_.erase(found);
}

void ChatController::save(const TurnRow& row) {
    port_.saveTurn(row, [this](const Status& done) { report(done, Doing::Save); });
}

void ChatController::savePartial() {
    for (auto& [ticket, turn] : active_) {
        if (!turn.unsaved) continue;
        turn.unsaved = false;
        save(turn.row);
    }
}

}  // namespace carrel::app
