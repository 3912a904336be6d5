#pragma once

#include "conversation_model.h"
#include "engine_port.h"
#include "passwords.h"

#include <QTimer>
#include <QVariantList>

#include <map>

namespace carrel::app {

/// The chats of the open document: questions, answers as they are written, drafts. Saved as it happens.
///
/// One turn: Queued (row written; waits until something is read) -> Opening -> ReadingQuestion -> Answering -> Done |
/// Stopped | Failed. Each ends exactly once; what comes for an ended one is dropped. Turns go on when another chat is
/// shown.
class ChatController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(carrel::app::ConversationModel* conversation READ conversation CONSTANT)
    Q_PROPERTY(QVariantList chats READ chats NOTIFY chatsChanged)      // {id, title}, newest first
    Q_PROPERTY(QString current READ current NOTIFY currentChanged)     // id; empty: none
    Q_PROPERTY(QString draft READ draft NOTIFY draftReplaced)          // as loaded; the composer holds what is typed
    Q_PROPERTY(bool answering READ answering NOTIFY answeringChanged)  // in the chat shown

  public:
    ChatController(EnginePort& port, Passwords& passwords, std::function<bool(const QString&)> canAnswer,
                   QObject* parent = nullptr);

    ConversationModel* conversation() { return &conversation_; }
    QVariantList chats() const;
    QString current() const { return current_; }
    QString draft() const { return draft_; }
    bool answering() const;

    void open(const QString& document);        // empty: nothing is open
    void answerable(const QString& document);  // questions that waited can go
    void stopAll();
    void forget(const QString& document);
    void saveNow();  // draft and partial answers, before the window closes

    Q_INVOKABLE void ask(const QString& question);
    Q_INVOKABLE void stop();
    Q_INVOKABLE void edit(const QString& draft);  // on every change; written after a pause in typing
    Q_INVOKABLE void newChat();
    Q_INVOKABLE void show(const QString& chat);
    Q_INVOKABLE void forgetChat(const QString& chat);
    Q_INVOKABLE void openSource(qint64 turn, int index);

  signals:
    void chatsChanged();
    void currentChanged();
    void draftReplaced();
    void answeringChanged();
    void sourceOpened(const carrel::Source& source);
    void firstSource(const carrel::Source& source);  // an answer in view has ended; this is where it was read
    void problem(const QString& sentence);
    void ended(qint64 turn);  // exactly once per turn

  private:
    struct Active {
        TurnRow row;
        QString document;
        std::vector<PastTurn> history;
        std::stop_source stop;
        bool asked = false;    // the engine has it
        bool unsaved = false;  // text since the last save
    };

    void begin(const QString& document, const QString& chat, const QString& question, std::int64_t id);
    void send(quint64 ticket);
    void staged(quint64 ticket, TurnStage stage);
    void arrived(quint64 ticket, const QString& text);
    void answered(quint64 ticket, const Answer& answer);
    void failed(quint64 ticket, const Error& error);
    void finish(quint64 ticket);
    void drop(const std::function<bool(const Active&)>& which);
    void save(const TurnRow& row);
    void savePartial();
    void flushDraft();
    void setChats(std::vector<ChatRow> rows);
    std::vector<PastTurn> history() const;
    quint64 ticketOf(const QString& chat) const;
    void report(const Status& status);

    EnginePort& port_;
    Passwords& passwords_;
    std::function<bool(const QString&)> canAnswer_;
    ConversationModel conversation_;
    std::vector<ChatRow> chats_;
    QString document_, current_, draft_;
    std::map<quint64, Active> active_;
    QTimer draftTimer_, saveTimer_;
    bool draftDirty_ = false, starting_ = false;
};

}  // namespace carrel::app
