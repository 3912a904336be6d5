#include "app/chat_controller.h"
#include "tests/support/scripted_engine.h"

#include <QSignalSpy>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

// One turn's life: what is saved, what is sent, and that it ends exactly once.
class TestChat : public QObject {
    Q_OBJECT

    struct Desk {
        ScriptedEngine engine;
        Passwords passwords;
        bool read = true;
        ChatController chat{engine, passwords, [this](const QString&) { return read; }};
        QSignalSpy ended{&chat, &ChatController::ended};
        QSignalSpy problems{&chat, &ChatController::problem};

        Desk() {
            chat.open(QStringLiteral("doc"));
            [this] { QTRY_VERIFY(!chat.current().isEmpty()); }();
        }
        void ask(const QString& question) {
            const std::size_t before = engine.turnRows[chat.current().toStdString()].size();
            chat.ask(question);
            [&] { QTRY_COMPARE(engine.turnRows[chat.current().toStdString()].size(), before + 1); }();
            QCoreApplication::processEvents();
        }
        QString last(int role) {
            return chat.conversation()->index(chat.conversation()->rowCount() - 1).data(role).toString();
        }
    };
    static std::vector<float> sharesOf(const QSignalSpy& shown) {
        return shown.isEmpty() ? std::vector<float>() : shown.last()[0].value<TurnRow>().pageShares;
    }
    static Answer answer(const std::string& text, bool stopped = false) {
        Answer a;
        a.text = text;
        a.stopped = stopped;
        a.coverage = {52, 193, 5200, 19300};
        a.sources = {{"p. 12", 12, {}, "a quote", {{1, 2, 3, 4}}, 1.f}};
        return a;
    }

  private slots:
    void thePagesOfTheLastAnswerAreShownThenThoseOfAChosenOne() {
        Desk d;
        QSignalSpy shown(&d.chat, &ChatController::turnShown);
        Answer first = answer("One."), second = answer("Two.");
        first.pageShares = {1, 0};
        second.pageShares = {0, 1};
        second.provenance = Provenance::Unclear;
        second.droppedTurns = 1;
        second.coverage.goesOn = true;
        d.ask(QStringLiteral("One?"));
        emit d.engine.answered(d.engine.asks.back().ticket, first);
        QCOMPARE(sharesOf(shown), first.pageShares);
        d.ask(QStringLiteral("Two?"));
        emit d.engine.answered(d.engine.asks.back().ticket, second);
        QCOMPARE(sharesOf(shown), second.pageShares);
        const TurnRow saved = d.engine.savedTurns.back();
        QCOMPARE(saved.provenance, Provenance::Unclear);
        QCOMPARE(saved.droppedTurns, 1u);
        QVERIFY(saved.coverage.goesOn);
        d.chat.openSource(d.engine.turnRows[d.chat.current().toStdString()].front().id, 0);
        QCOMPARE(sharesOf(shown), first.pageShares);
        d.chat.showPages(saved.id);
        QCOMPARE(sharesOf(shown), second.pageShares);
        // Another chat has none yet; back in this one it is the last answer's.
        const QString before = d.chat.current();
        d.chat.newChat();
        QTRY_VERIFY(d.chat.current() != before);
        QVERIFY(sharesOf(shown).empty());
        d.chat.show(before);
        QTRY_COMPARE(sharesOf(shown), second.pageShares);
    }

    void anAnswerIsShownAndSavedWithItsSourcesAndCoverage() {
        Desk d;
        QSignalSpy opened(&d.chat, &ChatController::sourceOpened);
        d.ask(QStringLiteral("Why?"));
        QCOMPARE(d.engine.asks.size(), 1u);
        const quint64 ticket = d.engine.asks[0].ticket;
        QCOMPARE(d.engine.asks[0].question, std::string("Why?"));
        emit d.engine.turnStage(ticket, TurnStage::Answering);
        emit d.engine.turnText(ticket, QStringLiteral("Because "));
        emit d.engine.answered(ticket, answer("Because **so**."));
        QCOMPARE(d.ended.count(), 1);
        const TurnRow& saved = d.engine.savedTurns.back();
        QCOMPARE(saved.state, TurnState::Done);
        QCOMPARE(saved.answer, std::string("Because **so**."));
        QCOMPARE(saved.sources.size(), 1u);
        QCOMPARE(d.last(ConversationModel::PlainRole),
                 QStringLiteral("Read pages 1-52 of 193; pages 53-193 were not used"));
        QVERIFY(!d.chat.answering());
        d.chat.openSource(saved.id, 0);
        QCOMPARE(opened.count(), 1);
    }

    void aDocumentOutOfSightKeepsItsDraftAndWhatWasAnsweredSoFar() {
        Desk d;
        d.ask(QStringLiteral("Why?"));
        d.chat.edit(QStringLiteral("next thought"));
        d.chat.hide(QStringLiteral("doc"));
        QVERIFY(d.chat.current().isEmpty());
        QCOMPARE(d.engine.drafts.back().second, std::string("next thought"));
        QVERIFY(d.engine.asks[0].stop.stop_requested());
        emit d.engine.answered(d.engine.asks[0].ticket, answer("Because", true));
        QCOMPARE(d.engine.savedTurns.back().state, TurnState::Stopped);
        QCOMPARE(d.engine.savedTurns.back().answer, std::string("Because"));
    }

    void aTurnEndsExactlyOnce_data() {
        QTest::addColumn<int>("first");
        QTest::addColumn<int>("second");
        const char* names[] = {"answered", "failed", "stopped"};
        for (int a = 0; a < 3; ++a)
            for (int b = 0; b < 3; ++b) QTest::addRow("%s, then %s", names[a], names[b]) << a << b;
    }
    void aTurnEndsExactlyOnce() {
        QFETCH(const int, first);
        QFETCH(const int, second);
        Desk d;
        d.ask(QStringLiteral("Why?"));
        const quint64 ticket = d.engine.asks.at(0).ticket;
        const auto end = [&](int how) {
            if (how == 0) emit d.engine.answered(ticket, answer("yes"));
            if (how == 1) emit d.engine.turnFailed(ticket, Error{Code::NoMemory, {}, "need 2 GiB"});
            if (how == 2) emit d.engine.answered(ticket, answer("ye", true));
        };
        end(first);
        const std::size_t saves = d.engine.savedTurns.size();
        end(second);
        emit d.engine.turnText(ticket, QStringLiteral("late"));
        QCOMPARE(d.ended.count(), 1);
        QCOMPARE(d.engine.savedTurns.size(), saves);
        const TurnState expected[] = {TurnState::Done, TurnState::Failed, TurnState::Stopped};
        QCOMPARE(d.engine.savedTurns.back().state, expected[first]);
    }

    void aFailedTurnSaysWhatToDo() {
        Desk d;
        d.ask(QStringLiteral("Why?"));
        emit d.engine.turnFailed(d.engine.asks.at(0).ticket, Error{Code::DiskFull, {}, {}});
        QVERIFY(d.last(ConversationModel::PlainRole)
                    .contains(QStringLiteral("room on the disk (no more is known). Your question and the chat")));
        QCOMPARE(d.last(ConversationModel::RemedyRole), remedyText(Remedy::FreeSpace));
        QSignalSpy wanted(&d.chat, &ChatController::remedyWanted);
        d.chat.remedy(d.engine.savedTurns.back().id);
        QCOMPARE(wanted.count(), 1);
        QCOMPARE(d.chat.conversation()->index(0).data(ConversationModel::PlainRole).toString(), QStringLiteral("Why?"));
    }

    void aFailedQuestionIsAskedAgainByItsButton() {
        Desk d;
        d.ask(QStringLiteral("Why?"));
        emit d.engine.turnFailed(d.engine.asks.at(0).ticket, Error{Code::Io, {}, "bad sector"});
        QCOMPARE(d.last(ConversationModel::RemedyRole), remedyText(Remedy::TryAgain));
        d.chat.remedy(d.engine.savedTurns.back().id);
        QTRY_COMPARE(d.engine.asks.size(), 2u);
        QCOMPARE(d.engine.asks[1].question, std::string("Why?"));
    }

    void stopNeedsNoEventAndKeepsTheText() {
        Desk d;
        d.ask(QStringLiteral("Why?"));
        const TurnRequest& request = d.engine.asks.at(0);
        QVERIFY(!request.stop.stop_requested());
        emit d.engine.turnText(request.ticket, QStringLiteral("Half an"));
        d.chat.stop();
        QVERIFY(request.stop.stop_requested());
        QVERIFY(d.last(ConversationModel::PlainRole).startsWith(QStringLiteral("Stopping")));
        emit d.engine.answered(request.ticket, answer("Half an ans", true));
        QCOMPARE(d.engine.savedTurns.back().state, TurnState::Stopped);
        QCOMPARE(d.engine.savedTurns.back().answer, std::string("Half an ans"));
    }

    void stopBeforeAnyTextEndsTheTurnAtOnceAndTheEnginesEndIsDropped() {
        Desk d;
        d.ask(QStringLiteral("Why?"));
        const TurnRequest request = d.engine.asks.at(0);
        emit d.engine.turnStage(request.ticket, TurnStage::ReadingQuestion);
        d.chat.stop();
        QVERIFY(request.stop.stop_requested());
        QVERIFY(!d.chat.answering());
        QCOMPARE(d.engine.savedTurns.back().state, TurnState::Stopped);
        emit d.engine.turnFailed(request.ticket, Error{Code::Cancelled, {}, {}});
        QCOMPARE(d.ended.count(), 1);
        QCOMPARE(d.engine.savedTurns.back().state, TurnState::Stopped);
    }

    void everyWaitHasItsName() {
        Desk d;
        bool model = false;
        d.read = false;
        d.chat.nameWaitsBy([](const QString&) { return QStringLiteral("Lease"); }, [&] { return model; });
        const auto says = [&](const char* name) {
            return d.last(ConversationModel::PlainRole) == QString::fromUtf8(name) + QStringLiteral("…");
        };
        d.ask(QStringLiteral("Why?"));
        QVERIFY(says("Waiting for the model"));
        model = true;
        QTRY_VERIFY(says("Waiting for the first pages to be read"));  // it is looked at twice a second
        d.chat.answerable(QStringLiteral("doc"));
        const quint64 ticket = d.engine.asks.at(0).ticket;
        QTRY_VERIFY(says("Waiting for the pages being read"));
        emit d.engine.turnStage(ticket, TurnStage::Opening);
        QVERIFY(says("Opening what was read"));
        emit d.engine.turnStage(ticket, TurnStage::ReadingQuestion);
        QVERIFY(says("Reading your question"));
        emit d.engine.questionProgress(ticket, 12, 31);
        QVERIFY(says("Reading your question 12/31"));
        emit d.engine.turnStage(ticket, TurnStage::Answering);
        QVERIFY(says("Answering"));
    }

    void aQuestionBehindAnotherDocumentsAnswerNamesThatDocument() {
        Desk d;
        d.chat.nameWaitsBy(
            [](const QString& sha) { return sha == QLatin1String("doc") ? QStringLiteral("Lease") : sha; },
            [] { return true; });
        d.ask(QStringLiteral("Why?"));
        emit d.engine.turnStage(d.engine.asks.at(0).ticket, TurnStage::Answering);
        d.chat.open(QStringLiteral("other"));
        QTRY_VERIFY(!d.chat.current().isEmpty());
        d.ask(QStringLiteral("And this?"));
        QCOMPARE(d.last(ConversationModel::PlainRole), QStringLiteral("Waiting for the answer in “Lease”…"));
        emit d.engine.answered(d.engine.asks.at(0).ticket, answer("x"));
        QCOMPARE(d.last(ConversationModel::PlainRole), QStringLiteral("Waiting for the pages being read…"));
    }

    void aQuestionWaitsUntilSomethingIsReadAndCanBeStoppedMeanwhile() {
        Desk d;
        d.read = false;
        d.ask(QStringLiteral("Too early?"));
        QVERIFY(d.engine.asks.empty());
        QVERIFY(d.chat.answering());
        d.chat.answerable(QStringLiteral("another"));
        QVERIFY(d.engine.asks.empty());
        d.chat.answerable(QStringLiteral("doc"));
        QCOMPARE(d.engine.asks.size(), 1u);
        d.chat.answerable(QStringLiteral("doc"));
        QCOMPARE(d.engine.asks.size(), 1u);
        emit d.engine.answered(d.engine.asks[0].ticket, answer("x"));

        d.ask(QStringLiteral("And this?"));
        d.chat.stop();
        QCOMPARE(d.ended.count(), 2);
        QVERIFY(!d.chat.answering());
    }

    void earlierAnswersAreHistoryButFailedOnesAreNot() {
        Desk d;
        d.ask(QStringLiteral("One?"));
        emit d.engine.answered(d.engine.asks[0].ticket, answer("1"));
        d.ask(QStringLiteral("Two?"));
        emit d.engine.turnFailed(d.engine.asks[1].ticket, Error{Code::Io, {}, {}});
        d.ask(QStringLiteral("Three?"));
        QCOMPARE(d.engine.asks[2].history.size(), 1u);
        QCOMPARE(d.engine.asks[2].history[0].answer, std::string("1"));
    }

    void aDraftIsSavedAfterAPauseInTypingAndOnceOnly() {
        Desk d;
        d.chat.edit(QStringLiteral("Wh"));
        d.chat.edit(QStringLiteral("What"));
        QVERIFY(d.engine.drafts.empty());
        QTRY_COMPARE_WITH_TIMEOUT(d.engine.drafts.size(), 1u, 3000);
        QCOMPARE(d.engine.drafts[0].second, std::string("What"));
    }

    void aDraftIsSavedWhileTheTypingGoesOn() {
        Desk d;
        QString text;
        QElapsedTimer typing;
        for (typing.start(); d.engine.drafts.empty() && typing.elapsed() < 10000;) {
            d.chat.edit(text += QLatin1Char('x'));
            QTest::qWait(30);
        }
        QVERIFY(!d.engine.drafts.empty());
    }

    void aDraftIsSavedAtOnceWhenAnotherChatIsShownAndComesBack() {
        Desk d;
        const QString first = d.chat.current();
        d.chat.edit(QStringLiteral("half a thought"));
        d.chat.newChat();
        QTRY_VERIFY(d.chat.current() != first);
        QCOMPARE(d.engine.drafts.size(), 1u);
        QCOMPARE(d.chat.draft(), QString());
        d.chat.show(first);
        QCOMPARE(d.chat.draft(), QStringLiteral("half a thought"));
    }

    void theTextSoFarIsSavedEverySecond() {
        Desk d;
        d.ask(QStringLiteral("Why?"));
        emit d.engine.turnText(d.engine.asks.at(0).ticket, QStringLiteral("so far"));
        QTRY_VERIFY_WITH_TIMEOUT(!d.engine.savedTurns.empty() && d.engine.savedTurns.back().answer == "so far", 4000);
        const std::size_t saves = d.engine.savedTurns.size();
        QTest::qWait(1200);
        QCOMPARE(d.engine.savedTurns.size(), saves);  // nothing new, nothing written
    }

    void aQuestionThatCannotBeSavedIsNotAskedAndStaysInTheComposer() {
        Desk d;
        QSignalSpy replaced(&d.chat, &ChatController::draftReplaced);
        d.engine.failures["startTurn"] = Error{Code::DiskFull, {}, {}};
        d.chat.ask(QStringLiteral("Why?"));
        QTRY_COMPARE(d.problems.count(), 1);
        QVERIFY(d.engine.asks.empty());
        QVERIFY(!d.chat.answering());
        QCOMPARE(replaced.count(), 0);
    }

    void anAnswerGoesOnWhileAnotherChatIsShown() {
        Desk d;
        d.ask(QStringLiteral("Why?"));
        const QString first = d.chat.current();
        const quint64 ticket = d.engine.asks.at(0).ticket;
        d.chat.newChat();
        QTRY_VERIFY(d.chat.current() != first);
        QVERIFY(!d.chat.answering());
        emit d.engine.turnText(ticket, QStringLiteral("meanwhile"));
        d.chat.show(first);
        QVERIFY(d.chat.answering());
        QTRY_COMPARE(d.chat.conversation()->rowCount(), 3);
        QCOMPARE(d.chat.conversation()->index(1).data(ConversationModel::PlainRole).toString(),
                 QStringLiteral("meanwhile"));
    }

    void deletingAChatEndsItsTurnAndSavesNothingMore() {
        Desk d;
        d.ask(QStringLiteral("Why?"));
        const TurnRequest request = d.engine.asks.at(0);
        const std::size_t saves = d.engine.savedTurns.size();
        d.chat.forgetChat(d.chat.current());
        QVERIFY(request.stop.stop_requested());
        emit d.engine.answered(request.ticket, answer("late"));
        QCOMPARE(d.ended.count(), 1);
        QCOMPARE(d.engine.savedTurns.size(), saves);
    }
};

QTEST_MAIN(TestChat)
#include "tst_chat.moc"
