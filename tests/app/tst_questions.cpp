#include "app/chat_controller.h"
#include "tests/support/scripted_engine.h"

#include <QSignalSpy>
#include <QTest>

#include <set>

using namespace carrel;
using namespace carrel::app;

// A list of questions asked together: rows of one chat, each with a tail and an end of its own.
class TestQuestions : public QObject {
    Q_OBJECT

    struct Desk {
        ScriptedEngine engine;
        Passwords passwords;
        bool read = true;
        ChatController chat{engine, passwords, [this](const QString&) { return read; }};
        QSignalSpy ended{&chat, &ChatController::ended};
        QSignalSpy saved{&chat, &ChatController::listSaved};
        QSignalSpy problems{&chat, &ChatController::problem};

        Desk() {
            chat.open(QStringLiteral("doc"));
            [this] { QTRY_VERIFY(!chat.current().isEmpty()); }();
        }
        std::vector<TurnRow>& rows() { return engine.turnRows[chat.current().toStdString()]; }
        void askThree() {
            chat.askAll({QStringLiteral("One?"), QStringLiteral(" Two? "), QString(), QStringLiteral("Three?")});
            [this] { QTRY_COMPARE(saved.count(), 1); }();
        }
        quint64 ticket(std::size_t question) const { return engine.asks.at(question).ticket; }
        QStringList shown(int kind) {
            QStringList list;
            for (int i = 0; i < chat.conversation()->rowCount(); ++i) {
                const QModelIndex at = chat.conversation()->index(i);
                if (at.data(ConversationModel::KindRole).toInt() == kind)
                    list << at.data(ConversationModel::PlainRole).toString();
            }
            return list;
        }
        std::set<std::string> tails() const {
            std::set<std::string> names;
            for (const TurnRequest& request : engine.asks) names.insert(request.chat);
            return names;
        }
    };
    static Answer answer(const std::string& text, bool stopped = false) {
        Answer a;
        a.text = text;
        a.stopped = stopped;
        a.sources = {{"p. 12", 12, {}, text, {}, 1.f}};
        return a;
    }

  private slots:
    void allAreSentAtOnceEachWithoutHistoryAndOnATailOfItsOwn() {
        Desk d;
        d.askThree();
        QCOMPARE(d.engine.asks.size(), 3u);
        QCOMPARE(d.tails().size(), 3u);
        QVERIFY(!d.tails().contains(d.chat.current().toStdString()));
        for (const TurnRequest& request : d.engine.asks) QVERIFY(request.history.empty());
        QCOMPARE(d.engine.asks[1].question, std::string("Two?"));
        QCOMPARE(d.rows().size(), 3u);  // on disk before they are asked
        QCOMPARE(d.shown(ConversationModel::Question),
                 QStringList({QStringLiteral("One?"), QStringLiteral("Two?"), QStringLiteral("Three?")}));
    }

    void answersThatGrowAtTheSameTimeStayWithTheirQuestions() {
        Desk d;
        d.askThree();
        emit d.engine.turnText(d.ticket(2), QStringLiteral("third"));
        emit d.engine.turnText(d.ticket(0), QStringLiteral("first\n\nand a second paragraph"));
        emit d.engine.turnText(d.ticket(1), QStringLiteral("second"));
        emit d.engine.turnText(d.ticket(0), QStringLiteral(" more"));
        QCOMPARE(d.shown(ConversationModel::Paragraph),
                 QStringList({QStringLiteral("first"), QStringLiteral("and a second paragraph more"),
                              QStringLiteral("second"), QStringLiteral("third")}));
        emit d.engine.answered(d.ticket(1), answer("Second, at last."));
        QCOMPARE(d.shown(ConversationModel::Paragraph).at(2), QStringLiteral("Second, at last."));
        QCOMPARE(d.shown(ConversationModel::Sources).size(), 1);
        QCOMPARE(d.chat.conversation()->turn(d.rows()[1].id)->sources.at(0).quote, std::string("Second, at last."));
    }

    void eachEndsExactlyOnceAndProgressCountsThem() {
        Desk d;
        d.askThree();
        QCOMPARE(d.chat.listTotal(), 3);
        QCOMPARE(d.chat.listEnded(), 0);
        emit d.engine.answered(d.ticket(1), answer("2"));
        emit d.engine.answered(d.ticket(1), answer("2 again"));
        QCOMPARE(d.chat.listEnded(), 1);
        emit d.engine.turnFailed(d.ticket(0), Error{Code::Io, {}, {}});
        QCOMPARE(d.chat.listEnded(), 2);
        QVERIFY(d.chat.answering());
        emit d.engine.answered(d.ticket(2), answer("3"));
        emit d.engine.turnFailed(d.ticket(2), Error{Code::Io, {}, {}});
        QCOMPARE(d.ended.count(), 3);
        QVERIFY(!d.chat.answering());
        QCOMPARE(d.chat.listTotal(), 0);
        QCOMPARE(d.rows()[0].state, TurnState::Failed);
        QCOMPARE(d.rows()[1].answer, std::string("2"));
        QCOMPARE(d.rows()[2].state, TurnState::Done);
        const std::set<std::string> gone(d.engine.forgottenTails.begin(), d.engine.forgottenTails.end());
        QCOMPARE(gone, d.tails());
        QCOMPARE(d.engine.forgottenTails.size(), 3u);
    }

    void onlyTheFirstAnswerTurnsThePage() {
        Desk d;
        QSignalSpy turned(&d.chat, &ChatController::firstSource);
        d.askThree();
        for (const std::size_t i : {2u, 0u, 1u}) emit d.engine.answered(d.ticket(i), answer("x"));
        QCOMPARE(turned.count(), 1);
    }

    void stopStopsAllAlsoThoseThatWait() {
        Desk d;
        d.read = false;
        d.askThree();
        QVERIFY(d.engine.asks.empty());
        d.chat.stop();
        QCOMPARE(d.ended.count(), 3);
        QVERIFY(!d.chat.answering());

        d.read = true;
        d.saved.clear();
        d.askThree();
        QCOMPARE(d.engine.asks.size(), 3u);
        d.chat.stop();
        for (const TurnRequest& request : d.engine.asks) QVERIFY(request.stop.stop_requested());
        for (std::size_t i = 0; i < 3; ++i) emit d.engine.answered(d.ticket(i), answer("ha", true));
        QCOMPARE(d.ended.count(), 6);
        for (const TurnRow& row : d.rows()) QCOMPARE(row.state, TurnState::Stopped);
    }

    void stopBeforeTheRowsAreWrittenAsksNothing() {
        Desk d;
        d.chat.askAll({QStringLiteral("One?"), QStringLiteral("Two?")});
        QVERIFY(d.chat.answering());
        d.chat.stop();
        QTRY_VERIFY(!d.chat.answering());
        QVERIFY(d.engine.asks.empty());
        QCOMPARE(d.ended.count(), 2);
        for (const TurnRow& row : d.rows()) QCOMPARE(row.state, TurnState::Stopped);
    }

    void aListGetsAChatOfItsOwnUnlessTheOneShownIsEmpty() {
        Desk d;
        const QString first = d.chat.current();
        d.askThree();
        QCOMPARE(d.chat.current(), first);
        for (std::size_t i = 0; i < 3; ++i) emit d.engine.answered(d.ticket(i), answer("x"));
        d.saved.clear();
        d.askThree();
        QVERIFY(d.chat.current() != first);
        QCOMPARE(d.engine.asks.size(), 6u);
        QCOMPARE(d.chat.chats().at(0).toMap().value(QStringLiteral("title")).toString(), QStringLiteral("One?"));

        d.chat.newChat();
        QTRY_COMPARE(d.chat.chats().size(), 3);
        const QString drafted = d.chat.current();
        d.chat.edit(QStringLiteral("half a thought"));
        d.saved.clear();
        d.askThree();
        QVERIFY(d.chat.current() != drafted);
        QCOMPARE(d.engine.drafts.back().second, std::string("half a thought"));
    }

    void aQuestionAfterTheListGoesOnWithAllItsAnswersOnTheChatsOwnTail() {
        Desk d;
        d.askThree();
        for (std::size_t i = 0; i < 3; ++i) emit d.engine.answered(d.ticket(i), answer("x"));
        d.chat.ask(QStringLiteral("And then?"));
        QTRY_COMPARE(d.engine.asks.size(), 4u);
        QCOMPARE(d.engine.asks[3].history.size(), 3u);
        QCOMPARE(d.engine.asks[3].chat, d.chat.current().toStdString());
        emit d.engine.answered(d.ticket(3), answer("y"));
        QCOMPARE(d.engine.forgottenTails.size(), 3u);
    }

    void partsAreSavedEverySecondWhileAnotherChatIsShownAndAreThereOnReturn() {
        Desk d;
        d.askThree();
        const QString list = d.chat.current();
        d.chat.newChat();
        QTRY_VERIFY(d.chat.current() != list);
        QVERIFY(!d.chat.answering());
        QCOMPARE(d.chat.listTotal(), 0);
        emit d.engine.turnText(d.ticket(0), QStringLiteral("one so far"));
        emit d.engine.turnText(d.ticket(2), QStringLiteral("three so far"));
        d.chat.show(list);
        QCOMPARE(d.chat.listTotal(), 3);
        QTRY_COMPARE(d.shown(ConversationModel::Paragraph),
                     QStringList({QStringLiteral("one so far"), QStringLiteral("three so far")}));
        const auto onDisk = [&] {
            return d.rows().at(0).answer == "one so far" && d.rows().at(2).answer == "three so far";
        };
        QTRY_VERIFY_WITH_TIMEOUT(onDisk(), 4000);
    }

    void deletingTheChatWhileItRunsStopsAllSavesNothingMoreAndForgetsTheTailsWhenTheyEnd() {
        Desk d;
        d.askThree();
        const std::size_t saves = d.engine.savedTurns.size();
        d.chat.forgetChat(d.chat.current());
        QCOMPARE(d.ended.count(), 3);
        for (const TurnRequest& request : d.engine.asks) QVERIFY(request.stop.stop_requested());
        QVERIFY(d.engine.forgottenTails.empty());  // the engine still has them
        emit d.engine.answered(d.ticket(0), answer("late", true));
        emit d.engine.turnFailed(d.ticket(1), Error{Code::Cancelled, {}, {}});
        emit d.engine.answered(d.ticket(2), answer("late", true));
        QCOMPARE(d.engine.forgottenTails.size(), 3u);
        QCOMPARE(d.ended.count(), 3);
        QCOMPARE(d.engine.savedTurns.size(), saves);
    }

    void forgettingTheDocumentBeforeTheChatOrTheRowsAreThereAsksNothing_data() {
        QTest::addColumn<bool>("newChat");
        QTest::newRow("the chat is being made") << true;
        QTest::newRow("rows are being written") << false;
    }
    void forgettingTheDocumentBeforeTheChatOrTheRowsAreThereAsksNothing() {
        QFETCH(const bool, newChat);
        Desk d;
        if (newChat) d.chat.edit(QStringLiteral("a draft"));
        d.chat.askAll({QStringLiteral("One?"), QStringLiteral("Two?")});
        d.chat.forget(QStringLiteral("doc"));
        QTest::qWait(50);
        QVERIFY(d.engine.asks.empty());
        QVERIFY(d.engine.savedTurns.empty());
        QCOMPARE(d.problems.count(), 0);
        QVERIFY(!d.chat.answering());
    }

    void whatCannotBeSavedIsNotAskedAndTheListIsNotCalledSaved() {
        Desk d;
        d.engine.failures["startTurn"] = Error{Code::DiskFull, {}, {}};
        d.chat.askAll({QStringLiteral("One?"), QStringLiteral("Two?")});
        QTRY_COMPARE(d.problems.count(), 2);
        QVERIFY(d.engine.asks.empty());
        QVERIFY(!d.chat.answering());
        QCOMPARE(d.chat.listTotal(), 0);
        QCOMPARE(d.saved.count(), 0);
    }
};

QTEST_MAIN(TestQuestions)
#include "tst_questions.moc"
