#include "app/window.h"
#include "tests/support/demo_script.h"

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QMimeData>
#include <QQuickItem>
#include <QQuickWindow>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

// The whole window on ScriptedEngine, by mouse and keyboard.
class TestWindow : public QObject {
    Q_OBJECT

    std::unique_ptr<QTemporaryDir> folder_;
    std::unique_ptr<ScriptedEngine> engine_;
    std::unique_ptr<Window> window_;

    QQuickWindow* win() { return window_->window(); }
    AppController& app() { return window_->controller(); }
    QQuickItem* item(const char* name) { return win()->findChild<QQuickItem*>(QString::fromLatin1(name)); }
    QQuickItem* shown(const QString& name, QQuickItem* under = nullptr) {
        if (!under) under = win()->contentItem();
        for (QQuickItem* child : under->childItems()) {
            if (child->objectName() == name) return child;
            if (QQuickItem* found = shown(name, child)) return found;
        }
        return nullptr;
    }
    void click(QQuickItem* target) {
        QVERIFY(target);
        QTRY_VERIFY(target->isVisible());
        QSignalSpy frame(win(), &QQuickWindow::afterRendering);  // layouts move things before a frame
        win()->update();
        frame.wait(1000);
        QTest::mouseClick(win(), Qt::LeftButton, {},
                          target->mapToScene({target->width() / 2, target->height() / 2}).toPoint());
    }
    void type(const char* text) {
        for (; *text; ++text) QTest::keyClick(win(), *text);
    }
    /// Where a place of a page (points) is on screen.
    QPoint onPage(int page, double x, double y) {
        QQuickItem* list = item("pages");
        for (QQuickItem* child : list->property("contentItem").value<QQuickItem*>()->childItems())
            if (child->property("page").toInt() == page && child->property("pointWidth").isValid()) {
                const double scaling = child->width() / child->property("pointWidth").toDouble();
                return child->mapToScene({x * scaling, y * scaling}).toPoint();
            }
        return {};
    }
    void drag(const QPoint& from, const QPoint& to) {
        QTest::mousePress(win(), Qt::LeftButton, {}, from);
        QTest::mouseMove(win(), (from + to) / 2);
        QTest::mouseMove(win(), to);
        QTest::mouseRelease(win(), Qt::LeftButton, {}, to);
    }
    void openDocument() {
        app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Field notes.pdf"))});
        QTRY_VERIFY(!app().chat()->current().isEmpty());
        QTRY_VERIFY(app().reading()->fraction() > 0);
    }

  private slots:
    void init() {
        folder_ = std::make_unique<QTemporaryDir>();
        engine_ = demoEngine();
        AppOptions options;
        options.model = QStringLiteral("/demo/model.gguf");
        options.settingsFile = folder_->filePath(QStringLiteral("window.ini"));
        window_ = std::make_unique<Window>(*engine_, options);
        QVERIFY(win());
        win()->requestActivate();
        QVERIFY(QTest::qWaitForWindowActive(win()));
    }
    void cleanup() {
        window_.reset();
        engine_.reset();
    }

    void aDroppedFileIsAddedAndPlainTextIsNot() {
        QMimeData text;
        text.setText(QStringLiteral("words"));
        QDragEnterEvent refused(QPoint(600, 300), Qt::CopyAction, &text, Qt::LeftButton, Qt::NoModifier);
        QCoreApplication::sendEvent(win(), &refused);
        QVERIFY(!item("drop")->property("containsDrag").toBool());
        QDragLeaveEvent leave;
        QCoreApplication::sendEvent(win(), &leave);

        QMimeData files;
        files.setUrls({QUrl::fromLocalFile(QStringLiteral("/x/Dropped.pdf"))});
        QDragEnterEvent enter(QPoint(600, 300), Qt::CopyAction, &files, Qt::LeftButton, Qt::NoModifier);
        QCoreApplication::sendEvent(win(), &enter);
        QDropEvent drop(QPoint(600, 300), Qt::CopyAction, &files, Qt::LeftButton, Qt::NoModifier);
        QCoreApplication::sendEvent(win(), &drop);
        QTRY_COMPARE(app().library()->currentTitle(), QStringLiteral("Dropped"));
    }

    void aModelThatIsAskedInAPlainFormatSaysSo() {
        QTRY_COMPARE(app().model()->state(), ModelController::Loaded);
        QVERIFY(!item("modelNote")->isVisible());
        engine_->chatTemplate = "plain";
        app().model()->choose(QStringLiteral("/demo/other.gguf"));
        QTRY_VERIFY(item("modelNote")->isVisible());
        QVERIFY(item("modelNote")->property("text").toString().contains(QStringLiteral("plain format")));
        QVERIFY(!item("modelNote")->property("truncated").toBool());
        QVERIFY(item("modelNote")->mapToItem(item("model"), {0, item("modelNote")->height()}).y() <=
                item("model")->height());
    }

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
        QVERIFY(engine_->rendered > 0);
    }

    void pagesAreChosenAndSizedFromTheKeyboard() {
        openDocument();
        QQuickItem* pages = item("pages");
        const auto real = [pages](const char* name) { return pages->property(name).toReal(); };
        QTRY_VERIFY(pages->property("count").toInt() > 12);
        QTest::keyClick(win(), Qt::Key_G, Qt::ControlModifier);
        type("7");
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(pages->property("shownPage").toInt(), 7);
        QVERIFY(pages->hasActiveFocus());
        QCOMPARE(item("pageNumber")->property("text").toString(), QStringLiteral("7"));
        const qreal fitting = real("zoom");
        QTest::keyClick(win(), Qt::Key_Equal, Qt::ControlModifier);
        QVERIFY(real("zoom") > fitting * 1.01);
        QCOMPARE(pages->property("shownPage").toInt(), 7);
        for (int i = 0; i < 20; ++i) QTest::keyClick(win(), Qt::Key_Equal, Qt::ControlModifier);
        QCOMPARE(real("zoom"), 4.0);
        QCOMPARE(pages->property("shownPage").toInt(), 7);
        QVERIFY(real("contentWidth") > pages->width() && real("contentX") > 0);
        for (int i = 0; i < 20; ++i) QTest::keyClick(win(), Qt::Key_Minus, Qt::ControlModifier);
        QCOMPARE(real("zoom"), 0.5);
        QTest::keyClick(win(), Qt::Key_0, Qt::ControlModifier);
        QCOMPARE(real("zoom"), fitting);
        QCOMPARE(real("contentX"), 0.0);
        QTest::keyClick(win(), Qt::Key_9, Qt::ControlModifier);
        QVERIFY(real("zoom") <= fitting);
        // A number that is no page changes nothing.
        QTest::keyClick(win(), Qt::Key_G, Qt::ControlModifier);
        type("999");
        QTest::keyClick(win(), Qt::Key_Return);
        QTest::keyClick(win(), Qt::Key_Escape);
        QCOMPARE(pages->property("shownPage").toInt(), 7);
        QVERIFY(pages->hasActiveFocus());
    }

    void theSizeOfTextAndTheColoursAreChosenAndKept() {
        QObject* dialog = win()->findChild<QObject*>(QStringLiteral("settingsDialog"));
        QTest::keyClick(win(), Qt::Key_Comma, Qt::ControlModifier);
        QTRY_VERIFY(dialog->property("opened").toBool());
        const QColor light = win()->color();
        click(item("textLarger"));
        click(item("textLarger"));
        QCOMPARE(app().look()->textPercent(), 120);
        QTRY_VERIFY(shown(QStringLiteral("shade2"), win()->contentItem()));
        click(shown(QStringLiteral("shade2"), win()->contentItem()));
        QTRY_VERIFY(win()->color().lightness() < light.lightness());
        for (int i = 0; i < 20; ++i) app().look()->setTextPercent(app().look()->textPercent() + 10);
        QCOMPARE(app().look()->textPercent(), 200);
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!dialog->property("visible").toBool());
        Settings kept(folder_->filePath(QStringLiteral("window.ini")));
        QCOMPARE(kept.textPercent(), 200);
        QCOMPARE(kept.shade(), static_cast<int>(Look::Dark));
    }

    void wordsAreFoundGoneThroughAndLeftFromTheKeyboard() {
        openDocument();
        QQuickItem* pages = item("pages");
        QTRY_VERIFY(pages->property("count").toInt() > 12);
        QTRY_COMPARE(engine_->preparedTexts.size(), 1u);  // ahead of the first search
        QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier);
        QTRY_VERIFY(item("findWords")->hasActiveFocus());
        type("word");
        QTRY_COMPARE(app().pages()->hits(), 3);
        QCOMPARE(app().pages()->hit(), 1);
        QTRY_COMPARE(pages->property("shownPage").toInt(), 2);
        QCOMPARE(item("findCount")->property("text").toString(), QStringLiteral("1 of 3"));
        QTest::keyClick(win(), Qt::Key_Return);
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(pages->property("shownPage").toInt(), 9);
        QTest::keyClick(win(), Qt::Key_F3);
        QCOMPARE(app().pages()->hit(), 1);
        QTest::keyClick(win(), Qt::Key_Return, Qt::ShiftModifier);
        QCOMPARE(app().pages()->hit(), 3);
        type("x");
        QTRY_COMPARE(app().pages()->hits(), 0);
        QTest::keyClick(win(), Qt::Key_Escape);
        QCOMPARE(app().pages()->hits(), -1);
        QVERIFY(pages->hasActiveFocus());
    }

    void wordsOnAPageAreChosenByMouseAndKeyboardCopiedAndAskedAbout() {
        openDocument();
        QQuickItem* pages = item("pages");
        QTRY_VERIFY(pages->property("count").toInt() > 12);
        QTRY_VERIFY(!onPage(1, 0, 0).isNull());
        PageSelection& chosen = *app().pages()->selection();
        // Each line is "line N"; words are 7 points a letter, five apart, lines 18 points.
        QTest::mouseMove(win(), onPage(1, 100, 90));
        drag(onPage(1, 80, 88), onPage(1, 110, 106));
        QTRY_COMPARE(chosen.text(), QStringLiteral("line 1\nline 2"));
        QTest::keyClick(win(), Qt::Key_C, Qt::ControlModifier);
        QCOMPARE(QGuiApplication::clipboard()->text(), chosen.text());
        QTest::keyClick(win(), Qt::Key_Right, Qt::ShiftModifier);
        QCOMPARE(chosen.text(), QStringLiteral("line 1\nline 2\nline"));
        QTest::keyClick(win(), Qt::Key_Up, Qt::ShiftModifier);
        QCOMPARE(chosen.text(), QStringLiteral("line 1\nline"));
        QTest::keyClick(win(), Qt::Key_Escape);
        QVERIFY(!chosen.any());

        const QPoint word = onPage(1, 80, 70);
        QTest::mouseClick(win(), Qt::LeftButton, {}, word, 700);
        QVERIFY(!chosen.any());
        QTest::mouseClick(win(), Qt::LeftButton, {}, word);
        QTRY_COMPARE(chosen.text(), QStringLiteral("Page"));
        QTest::mouseClick(win(), Qt::LeftButton, {}, word);
        QTRY_COMPARE(chosen.text(), QStringLiteral("Page 1 of the scripted document"));
        app().chat()->edit(QString());
        item("composer")->setProperty("text", QStringLiteral("Why?"));
        click(item("askChosen"));
        QCOMPARE(item("composer")->property("text").toString(),
                 QStringLiteral("“Page 1 of the scripted document”\nWhy?"));
        QVERIFY(item("composer")->hasActiveFocus());

        pages->forceActiveFocus();
        QTest::keyClick(win(), Qt::Key_A, Qt::ControlModifier);
        QTRY_VERIFY(chosen.text().endsWith(QStringLiteral("line 9")));
        QTest::keyClick(win(), Qt::Key_Right, Qt::ShiftModifier);  // asks for the next page's words
        QTest::qWait(50);
        QTest::keyClick(win(), Qt::Key_Right, Qt::ShiftModifier);
        QTRY_VERIFY(chosen.text().endsWith(QStringLiteral("line 9\n\nPage")));
    }

    void wordsOfATextAreChosenAndAskedAbout() {
        app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Notes.md"))});
        QTRY_VERIFY(!app().chat()->current().isEmpty());
        QTRY_VERIFY(item("pages")->property("count").toInt() == 3);
        QQuickItem* second = nullptr;
        for (QQuickItem* child : item("pages")->property("contentItem").value<QQuickItem*>()->childItems())
            if (child->property("html").toString().startsWith(QStringLiteral("First"))) second = child;
        QVERIFY(second);
        QTest::mouseDClick(win(), Qt::LeftButton, {}, second->mapToScene({12, 10}).toPoint());
        QTRY_VERIFY(app().pages()->selection()->any());
        QCOMPARE(app().pages()->selection()->text(), QStringLiteral("First"));
        QTest::keyClick(win(), Qt::Key_L, Qt::ControlModifier | Qt::ShiftModifier);
        QVERIFY(item("composer")->property("text").toString().startsWith(QStringLiteral("“")));
        QVERIFY(item("composer")->hasActiveFocus());
    }

    void theTableOfContentsIsGoneThroughFromTheKeyboardAndAltLeftComesBack() {
        engine_->outlineEntries = {{"One", 0, {1, 0, 0}}, {"Two", 0, {5, 421, 0}}, {"Two and a half", 1, {9, 0, 0}}};
        openDocument();
        QQuickItem* pages = item("pages");
        QTRY_VERIFY(pages->property("count").toInt() > 12);
        QObject* popup = win()->findChild<QObject*>(QStringLiteral("outlinePopup"));
        QTRY_VERIFY(item("contents")->isVisible());
        QTest::keyClick(win(), Qt::Key_O, Qt::ControlModifier | Qt::ShiftModifier);
        QTRY_VERIFY(popup->property("opened").toBool());
        QCOMPARE(popup->property("shown").toInt(), 0);
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(pages->property("shownPage").toInt(), 9);
        QTRY_VERIFY(!popup->property("visible").toBool());
        click(item("contents"));
        QTRY_VERIFY(popup->property("opened").toBool());
        QCOMPARE(popup->property("shown").toInt(), 2);
        QTest::keyClick(win(), Qt::Key_Up);
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(pages->property("shownPage").toInt(), 5);
        QTest::keyClick(win(), Qt::Key_Left, Qt::AltModifier);
        QTRY_COMPARE(pages->property("shownPage").toInt(), 9);
        QTest::keyClick(win(), Qt::Key_Left, Qt::AltModifier);
        QTRY_COMPARE(pages->property("shownPage").toInt(), 1);
        QVERIFY(!app().pages()->navigator()->canGoBack());
    }

    void aLinkOnAPageLeadsToItsPlaceAndOneThatLeadsOutsideIsAskedAboutFirst() {
        engine_->pageLinks[1] = {{{72, 60, 100, 20}, {7, 100, 0}, {}},
                                 {{72, 120, 100, 20}, {}, "https://example.org/x"},
                                 {{72, 180, 100, 20}, {}, "file:///etc/passwd"}};
        openDocument();
        QQuickItem* pages = item("pages");
        QTRY_VERIFY(!onPage(1, 0, 0).isNull());
        Navigator& navigator = *app().pages()->navigator();
        QSignalSpy outside(&navigator, &Navigator::addressWanted);
        (void)navigator.isLinkAt(1, {0, 0});
        QTRY_VERIFY(navigator.isLinkAt(1, {80, 130}));
        QCOMPARE(app().pages()->shapeAt(1, {80, 130}), static_cast<int>(Qt::PointingHandCursor));
        QTest::mouseClick(win(), Qt::LeftButton, {}, onPage(1, 100, 190));
        QTest::mouseClick(win(), Qt::LeftButton, {}, onPage(1, 100, 130), 700);
        QCOMPARE(outside.size(), 1);
        QTRY_VERIFY(item("no")->isVisible());
        QTest::keyClick(win(), Qt::Key_Escape);
        QTest::mouseClick(win(), Qt::LeftButton, {}, onPage(1, 100, 70), 700);
        QTRY_COMPARE(pages->property("shownPage").toInt(), 7);
        QTest::keyClick(win(), Qt::Key_Left, Qt::AltModifier);
        QTRY_COMPARE(pages->property("shownPage").toInt(), 1);
    }

    void pagesSeenBeforeAreNotDrawnAgain() {
        openDocument();
        QQuickItem* pages = item("pages");
        QTRY_VERIFY(pages->property("count").toInt() > 12);
        const auto drawn = [this] {  // once no more comes
            int before = -1;
            while (before != engine_->rendered) before = engine_->rendered, QTest::qWait(300);
            return before;
        };
        QVERIFY(drawn() > 0);
        const auto goTo = [&](int page) {
            QTest::keyClick(win(), Qt::Key_G, Qt::ControlModifier);
            type(std::to_string(page).c_str());
            QTest::keyClick(win(), Qt::Key_Return);
            (void)drawn();
        };
        // There and back: what is made ready beside the pages in view depends on the way one came.
        const auto thereAndBack = [&] {
            for (int i = 0; i < 5; ++i) goTo(1 + 5 * i);
            for (int i = 5; i >= 0; --i) goTo(1 + 5 * i);
        };
        thereAndBack();
        const int all = drawn();
        thereAndBack();
        QCOMPARE(drawn(), all);
        QVERIFY(all < 2 * 42);  // what was in view and a page around it, coarse and sharp: not the whole document
        QVERIFY(app().pageImages()->bytes() > 0);
    }

    void aPageWithoutTextSaysSo() {
        openDocument();
        const auto mute = [this](int row) {
            return app().pages()->pages()->index(row).data(PagesModel::MuteRole).toBool();
        };
        QTRY_VERIFY(mute(3));
        QVERIFY(!mute(2) && !mute(4));
    }

    void aPageThatCannotBeDrawnSaysSoAndIsTriedAgain() {
        engine_->failures["render"] = Error{Code::NoMemory, {}, {}};
        openDocument();
        QQuickItem* again = nullptr;
        QTRY_VERIFY((again = shown(QStringLiteral("drawAgain"))) && again->isVisible());
        QTRY_VERIFY(app()
                        .pages()
                        ->pages()
                        ->index(0)
                        .data(PagesModel::ProblemRole)
                        .toString()
                        .contains(QStringLiteral("Page 1 could not be drawn")));
        QCOMPARE(engine_->rendered, 0);
        engine_->failures.clear();
        click(again);
        QTRY_VERIFY(engine_->rendered > 0);
        QTRY_VERIFY(!again->isVisible());
    }

    void f1ListsTheKeysAndEscapeClosesTheList() {
        QObject* dialog = win()->findChild<QObject*>(QStringLiteral("keysDialog"));
        QVERIFY(dialog);
        QTest::keyClick(win(), Qt::Key_F1);
        QTRY_VERIFY(dialog->property("opened").toBool());
        QTRY_VERIFY(item("keys")->property("count").toInt() > 15);
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!dialog->property("visible").toBool());
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

    void theMemoryPanelAsksTheEngineWhileItIsSeenAndEscapeClosesItFirst() {
        openDocument();
        app().chat()->ask(QStringLiteral("Why?"));
        QTRY_VERIFY(app().chat()->answering());
        QVERIFY(engine_->tierPolls.empty());
        QTest::keyClick(win(), Qt::Key_M, Qt::ControlModifier);
        QTRY_VERIFY(app().tiers()->isOpen());
        QTRY_VERIFY(item("summary")->isVisible());
        QVERIFY(!item("notOpen")->isVisible());
        auto* map = win()->findChild<QQuickItem*>(QStringLiteral("map"));
        QTRY_VERIFY(map && map->hasActiveFocus());
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Down);
        QTRY_VERIFY(item("place")->property("text").toString().startsWith(QStringLiteral("Layer 1, head 2")));
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!app().tiers()->watching());
        QVERIFY(app().chat()->answering());
        const std::size_t polls = engine_->tierPolls.size();
        QTest::qWait(600);
        QCOMPARE(engine_->tierPolls.size(), polls);
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!app().chat()->answering());
    }

    void theMemoryPanelSaysWhenADocumentIsNotOpen() {
        openDocument();
        engine_->failures["tiers"] = Error{Code::NotFound, {}, {}};
        click(item("memory"));
        QTRY_VERIFY(!engine_->tierPolls.empty());
        QTRY_VERIFY(item("notOpen")->isVisible());
        QVERIFY(!item("summary")->isVisible());
        click(item("closeMemory"));
        QTRY_VERIFY(!app().tiers()->watching());
    }

    void pauseAndResumeAreButtons() {
        openDocument();
        click(item("pause"));
        QTRY_COMPARE(app().reading()->state(), ReadingController::Paused);
        click(item("resume"));
        QTRY_COMPARE(app().reading()->state(), ReadingController::Reading);
    }

    void f6GoesThroughThePanesAndBack() {
        openDocument();
        QSet<QQuickItem*> seen;
        for (int i = 0; i < 4; ++i) {
            QTest::keyClick(win(), Qt::Key_F6);
            QVERIFY(win()->activeFocusItem());
            seen << win()->activeFocusItem();
        }
        QCOMPARE(seen.size(), 4);
    }

    void whatTabReachesHasANameAndTabComesAround() {
        openDocument();
        QAccessible::setActive(true);
        QSet<QQuickItem*> seen;
        for (int i = 0; i < 60; ++i) {
            QTest::keyClick(win(), Qt::Key_Tab);
            QQuickItem* focus = win()->activeFocusItem();
            QVERIFY(focus);
            if (seen.contains(focus)) break;
            seen << focus;
            QAccessibleInterface* a = QAccessible::queryAccessibleInterface(focus);
            const QByteArray what = focus->metaObject()->className();
            QVERIFY2(a, what);
            QVERIFY2(!a->text(QAccessible::Name).isEmpty(), what);
        }
        QVERIFY2(seen.size() >= 6, qPrintable(QString::number(seen.size())));
    }

    void aProblemIsASentenceThatCanBeClosed() {
        app().showProblem(QStringLiteral("The disk is full. Free some space."));
        QTRY_VERIFY(item("problem")->isVisible());
        QCOMPARE(item("problem")->property("text").toString(), app().problem());
        app().dismissProblem();
        QTRY_VERIFY(!item("problem")->isVisible());
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
    prepareApplication();
    QApplication qt(argc, argv);
    TestWindow test;
    return QTest::qExec(&test, argc, argv);
}
#include "tst_window.moc"
