#pragma once

#include "conversation_model.h"
#include "engine_port.h"
#include "error_text.h"
#include "passwords.h"
#include "wait_text.h"

#include <QStringList>
#include <QTimer>
#include <QVariantList>

#include <map>

namespace carrel::app {

/// The chats of the open document: questions, answers as they are written, drafts. Saved as it happens.
///
/// One turn: Queued (row written; waits until something is read) -> Opening -> ReadingQuestion -> Answering -> Done |
/// Stopped | Failed. Each ends exactly once; what comes for an ended one is dropped. Turns go on when another chat is
/// shown.
///
/// Questions of a list are asked together, in a chat of their own: none has the others for history, and each has a tail
/// of its own (listTail), which goes when it is answered.
class ChatController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(carrel::app::ConversationModel* conversation READ conversation CONSTANT)
    Q_PROPERTY(QVariantList chats READ chats NOTIFY chatsChanged)      // {id, title}, newest first
    Q_PROPERTY(QString current READ current NOTIFY currentChanged)     // id; empty: none
    Q_PROPERTY(QString draft READ draft NOTIFY draftReplaced)          // as loaded; the composer holds what is typed
    Q_PROPERTY(bool answering READ answering NOTIFY answeringChanged)  // in the chat shown
    Q_PROPERTY(int listTotal READ listTotal NOTIFY listChanged)        // questions asked together there; 0: none
    Q_PROPERTY(int listEnded READ listEnded NOTIFY listChanged)        // how many of them have ended

  public:
    ChatController(EnginePort& port, Passwords& passwords, std::function<bool(const QString&)> canAnswer,
                   QObject* parent = nullptr);

    /// What waits are named by: a document's title, and whether a model is loaded.
    void nameWaitsBy(std::function<QString(const QString&)> title, std::function<bool()> modelReady);

    ConversationModel* conversation() { return &conversation_; }
    QVariantList chats() const;
    QString current() const { return current_; }
    QString draft() const { return draft_; }
    bool answering() const;
    int listTotal() const { return list(current_).total; }
    int listEnded() const { return list(current_).ended; }

    QStringList texts() const;                 // of the chat shown: what a report must not say
    void open(const QString& document);        // empty: nothing is open
    void answerable(const QString& document);  // questions that waited can go
    void stopAll();
    void hide(const QString& document);    // out of sight: answers are stopped and saved, and so is the draft
    void forget(const QString& document);  // and deleted
    void saveNow();                        // draft and partial answers, before the window closes

    Q_INVOKABLE void ask(const QString& question);
    Q_INVOKABLE void askAll(const QStringList& questions);  // in a new chat, unless the one shown is empty
    Q_INVOKABLE void stop();                                // all that is under way in the chat shown
    Q_INVOKABLE void edit(const QString& draft);            // on every change; written within half a second
    Q_INVOKABLE void newChat();
    Q_INVOKABLE void show(const QString& chat);
    Q_INVOKABLE void forgetChat(const QString& chat);
    Q_INVOKABLE void openSource(qint64 turn, int index);
    Q_INVOKABLE void showPages(qint64 turn);  // where it was read, beside the pages
    Q_INVOKABLE void remedy(qint64 turn);     // of one that failed: the button beside its sentence

  signals:
    void chatsChanged();
    void currentChanged();
    void draftReplaced();
    void answeringChanged();
    void listChanged();
    void listSaved();                             // every question of the last list has its row
    void turnShown(const carrel::TurnRow& turn);  // the one whose pages are shown now; without an id: none
    void sourceOpened(const carrel::Source& source);
    void firstSource(const carrel::Source& source);          // an answer in view has ended; this is where it was read
    void announced(const QString& sentence);                 // to those who do not see it
    void remedyWanted(const carrel::app::Problem& problem);  // anything but asking again
    void problem(const carrel::app::Problem& problem);
    void ended(qint64 turn);  // exactly once per turn

  private:
    struct Active {
        TurnRow row;  // id 0: its row is being written
        QString document;
        std::vector<PastTurn> history;
        std::stop_source stop;
        bool listed = false;   // asked together with others
        bool asked = false;    // the engine has it
        bool unsaved = false;  // text since the last save
        Wait wait;
        std::chrono::steady_clock::time_point waitsSince{};
    };
    struct List {
        int total = 0, ended = 0;
    };

    quint64 make(const QString& document, const QString& question);
    void write(quint64 ticket, const QString& chat, std::function<void(bool)> written = {});
    void begin(quint64 ticket, std::int64_t id);
    void startList(const QString& chat, const std::vector<quint64>& tickets);
    void send(quint64 ticket);
    void endUnsent(quint64 ticket);
    void forgetTail(quint64 ticket);
    void staged(quint64 ticket, TurnStage stage);
    void arrived(quint64 ticket, const QString& text);
    void answered(quint64 ticket, const Answer& answer);
    void failed(quint64 ticket, const Error& error);
    void finish(quint64 ticket);
    void readQuestion(quint64 ticket, quint32 done, quint32 total);
    Wait waitOf(quint64 ticket, const Active& turn) const;
    void nameWaits();
    void drop(const std::function<bool(const Active&)>& which);
    void save(const TurnRow& row);
    void savePartial();
    void flushDraft();
    void setChats(std::vector<ChatRow> rows);
    std::vector<PastTurn> history() const;
    std::vector<quint64> ticketsOf(const QString& chat) const;
    List list(const QString& chat) const;
    void report(const Status& status, Doing doing);

    EnginePort& port_;
    Passwords& passwords_;
    std::function<bool(const QString&)> canAnswer_;
    std::function<QString(const QString&)> title_;
    std::function<bool()> modelReady_;
    ConversationModel conversation_;
    std::vector<ChatRow> chats_;
    QString document_, current_, draft_;
    std::map<quint64, Active> active_;
    std::map<qint64, Problem> problems_;      // of turns that failed since the start
    std::map<QString, List> lists_;           // by chat, while one of its questions is under way
    std::map<quint64, std::string> leaving_;  // tails of listed turns that the engine has not ended
    QTimer draftTimer_, saveTimer_, waitTimer_;
    bool draftDirty_ = false;
};

}  // namespace carrel::app
