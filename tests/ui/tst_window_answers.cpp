#include "window_test.h"

using namespace carrel;
using namespace carrel::app;

// Questions, answers and where they were read.
class TestWindowAnswers : public WindowTest {
    Q_OBJECT

  private slots:
    void aQuestionWhileReadingIsAnsweredAndItsSourceOpensThePage() {
        openDocument();
        QTest::keyClick(win(), Qt::Key_L, Qt::ControlModifier);
        type("Why?");
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_VERIFY(app().chat()->answering());
        QTRY_COMPARE(item("composer")->property("text").toString(), QString());
        QTRY_VERIFY_WITH_TIMEOUT(!app().chat()->answering(), 20000);
        QTRY_COMPARE(app().pages()->markedPage(), 12);
        QQuickItem* second = nullptr;
        QTRY_VERIFY((second = shown(QStringLiteral("source1"))));
        QTRY_VERIFY(second->mapToScene({0, 0}).y() < win()->height() - 100);
        click(second);
        QTRY_COMPARE(app().pages()->markedPage(), 3);
        QTRY_COMPARE(item("pages")->property("shownPage").toInt(), 3);
        QVERIFY(!engine_->rendered.empty());
    }

    void theStripBesideThePagesShowsWhereTheLastAnswerWasRead() {
        openDocument();
        QQuickItem* strip = item("heatStrip");
        QVERIFY(!strip->isVisible());
        app().chat()->ask(QStringLiteral("Why?"));
        QTRY_VERIFY(app().chat()->answering());
        QTRY_VERIFY_WITH_TIMEOUT(!app().chat()->answering(), 20000);
        QTRY_VERIFY(strip->isVisible());
        QCOMPARE(strip->property("cells").toInt(), 42);
        const QString summary = strip->property("summary").toString();
        QVERIFY2(summary.startsWith(QStringLiteral("Pages most read: 12, 3, 41")), qPrintable(summary));
        QAccessible::setActive(true);
        QAccessibleInterface* a = QAccessible::queryAccessibleInterface(strip);
        QVERIFY(a);
        QCOMPARE(a->text(QAccessible::Name), summary);

        strip->forceActiveFocus(Qt::TabFocusReason);
        QTest::keyClick(win(), Qt::Key_Home);
        for (int i = 0; i < 2; ++i) QTest::keyClick(win(), Qt::Key_Down);
        QVERIFY(a->text(QAccessible::Description).startsWith(QStringLiteral("Page 3: ")));
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(item("pages")->property("shownPage").toInt(), 3);
        // A click on a cell goes to its page, too.
        qreal top = 0, next = 0;
        QMetaObject::invokeMethod(strip, "topOf", Q_RETURN_ARG(qreal, top), Q_ARG(int, 29));
        QMetaObject::invokeMethod(strip, "topOf", Q_RETURN_ARG(qreal, next), Q_ARG(int, 30));
        QTest::mouseClick(win(), Qt::LeftButton, {}, strip->mapToScene({6, (top + next) / 2}).toPoint());
        QTRY_COMPARE(item("pages")->property("shownPage").toInt(), 30);
        // A new chat has no answer yet.
        app().chat()->newChat();
        QTRY_VERIFY(!strip->isVisible());
    }

    void aQuoteIsCopiedWithItsPlaceFromTheKeyboard() {
        openDocument();
        app().chat()->ask(QStringLiteral("Why?"));
        QTRY_VERIFY(app().chat()->answering());
        QTRY_VERIFY_WITH_TIMEOUT(!app().chat()->answering(), 20000);
        QQuickItem* second = nullptr;
        QTRY_VERIFY((second = shown(QStringLiteral("source1"))));
        second->forceActiveFocus(Qt::TabFocusReason);
        QTest::keyClick(win(), Qt::Key_C, Qt::ControlModifier);
        QCOMPARE(QGuiApplication::clipboard()->text(),
                 QStringLiteral("“A changelog is required.” (Field notes, p. 3)"));
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(app().pages()->markedPage(), 3);
    }

    void theChatStaysAtItsEndWhenItsRoomChanges() {
        openDocument();
        app().chat()->ask(QStringLiteral("Why?"));
        QTRY_VERIFY(app().chat()->answering());
        QTRY_VERIFY_WITH_TIMEOUT(!app().chat()->answering(), 20000);
        win()->resize(1000, 520);
        QQuickItem* chat = item("conversation");
        const auto below = [chat] {  // of the chat's last line and its window
            return chat->property("contentHeight").toReal() - chat->property("contentY").toReal() - chat->height();
        };
        QTRY_VERIFY(chat->property("contentHeight").toReal() > chat->height() + 60 && below() < 1);
        const qreal room = chat->height();
        win()->resize(1000, 480);
        QTRY_VERIFY(chat->height() < room - 20 && below() < 1);
    }

    void escapeStopsTheAnswer() {
        openDocument();
        app().chat()->ask(QStringLiteral("Why?"));
        QTRY_VERIFY(app().chat()->answering());
        QTRY_VERIFY_WITH_TIMEOUT(app().chat()->conversation()->rowCount() > 2, 5000);
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!app().chat()->answering());
        QCOMPARE(engine_->savedTurns.back().state, TurnState::Stopped);
    }

    void aListOfQuestionsIsTypedAskedAndStoppedFromTheKeyboard() {
        openDocument();
        QTest::keyClick(win(), Qt::Key_N, Qt::ControlModifier | Qt::ShiftModifier);
        QTRY_VERIFY(item("questions")->hasActiveFocus());
        type("One?");
        QTest::keyClick(win(), Qt::Key_Return);
        type("Two?");
        QTest::keyClick(win(), Qt::Key_Return, Qt::ControlModifier);
        QTRY_COMPARE(app().chat()->listTotal(), 2);
        QTRY_COMPARE(item("listProgress")->property("text").toString(), QStringLiteral("0 of 2 answered"));
        QTRY_COMPARE(item("questions")->property("text").toString(), QString());
        QTRY_COMPARE(engine_->asks.size(), 2u);
        QTRY_VERIFY_WITH_TIMEOUT(app().chat()->conversation()->rowCount() > 4, 5000);
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!app().chat()->answering());
        QTRY_VERIFY(!item("listProgress")->isVisible());
    }

    void theMenuOfChatsOffersAList() {
        openDocument();
        click(item("chats"));
        QQuickItem* entry = nullptr;
        QTRY_VERIFY((entry = item("askSeveral")) && entry->isVisible());
        click(entry);
        QTRY_VERIFY(item("questions")->hasActiveFocus());
    }

    void closingWhileReadingAndAnsweringIsQuickAndSaves() {
        openDocument();
        app().chat()->ask(QStringLiteral("Why?"));
        QTRY_VERIFY_WITH_TIMEOUT(app().chat()->conversation()->rowCount() > 2, 5000);
        app().chat()->edit(QStringLiteral("next thought"));
        app().close();
        QVERIFY(engine_->shutDown);
        QCOMPARE(engine_->drafts.back().second, std::string("next thought"));
        QVERIFY(!engine_->savedTurns.back().answer.empty());
    }
};

int main(int argc, char** argv) {
    return runWindowTest<TestWindowAnswers>(argc, argv);
}
#include "tst_window_answers.moc"
