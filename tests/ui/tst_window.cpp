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

    void restartWithoutModel() {
        window_.reset();
        engine_ = demoEngine();
        AppOptions options;
        options.settingsFile = folder_->filePath(QStringLiteral("none.ini"));
        window_ = std::make_unique<Window>(*engine_, options);
        win()->requestActivate();
        QVERIFY(QTest::qWaitForWindowActive(win()));
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

    void withoutAModelDocumentsAreAddedSeenAndSearchedAndAClickBringsOne() {
        restartWithoutModel();
        app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Field notes.pdf"))});
        QTRY_VERIFY(!app().chat()->current().isEmpty());
        QTRY_VERIFY(item("pages")->property("count").toInt() > 12);
        QTRY_VERIFY(engine_->rendered > 0);
        QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier);
        type("word");
        QTRY_COMPARE(app().pages()->hits(), 3);
        QVERIFY(engine_->reads.empty());
        QVERIFY(app().problem().isEmpty());

        QTRY_VERIFY(item("modelMissing")->isVisible());
        QVERIFY(item("modelMissingText")->property("text").toString().contains(QStringLiteral("language model")));
        QCOMPARE(item("modelMissingList")->property("currentIndex").toInt(), 0);
        QTest::keyClick(win(), Qt::Key_L, Qt::ControlModifier);
        type("Why?");
        QTest::keyClick(win(), Qt::Key_Return);
        QVERIFY(!app().chat()->answering());
        click(shown(QStringLiteral("modelChoice0"), item("modelMissing")));
        QTRY_COMPARE(app().model()->state(), ModelController::Loaded);
        QCOMPARE(engine_->loadedModels, std::vector{engine_->models.models[0].file.string()});
        QTRY_VERIFY(!item("modelMissing")->isVisible());
        QTRY_VERIFY(app().reading()->fraction() > 0);
        QVERIFY(item("composer")->hasActiveFocus());
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_VERIFY(app().chat()->answering());
    }

    void aModelIsChosenFromTheKeyboardAndOneThatWillNotFitIsNot() {
        restartWithoutModel();
        app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Field notes.pdf"))});
        QTRY_VERIFY(item("modelMissing")->isVisible());
        QQuickItem* list = item("modelMissingList");
        QTRY_COMPARE(list->property("count").toInt(), 5);
        list->forceActiveFocus(Qt::TabFocusReason);
        for (int i = 0; i < 3; ++i) QTest::keyClick(win(), Qt::Key_Down);
        QCOMPARE(list->property("currentIndex").toInt(), 3);
        QTest::keyClick(win(), Qt::Key_Return);
        QCoreApplication::processEvents();
        QVERIFY(engine_->loadedModels.empty());
        QTest::keyClick(win(), Qt::Key_Up);
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(engine_->loadedModels, std::vector{engine_->models.models[2].file.string()});
    }

    void theModelsButtonListsWhatWasFoundWithWordsForHowItFits() {
        QTRY_COMPARE(app().model()->state(), ModelController::Loaded);
        click(item("model"));
        QQuickItem* first = nullptr;
        QTRY_VERIFY((first = shown(QStringLiteral("modelChoice0"))) && first->isVisible());
        QAccessible::setActive(true);
        QAccessibleInterface* a = QAccessible::queryAccessibleInterface(first);
        QVERIFY(a && a->text(QAccessible::Name).contains(QStringLiteral("fits")));
        QTest::keyClick(win(), Qt::Key_Escape);
    }

    void foldersAndThreadsAreSettings() {
        app().model()->addFolder(QStringLiteral("/mine"));
        QTest::keyClick(win(), Qt::Key_Comma, Qt::ControlModifier);
        click(item("moreThreads"));
        QTRY_COMPARE(app().model()->threads(), 1);
        QCOMPARE(item("threads")->property("text").toString(), QStringLiteral("1"));
        QCOMPARE(engine_->threads.back(), 1u);
        QQuickItem* remove = nullptr;
        QTRY_VERIFY((remove = shown(QStringLiteral("removeModelFolder0"))));
        click(remove);
        QTRY_VERIFY(app().model()->folders().isEmpty());
    }

    void whatTheKeyboardReachesInTheSettingsIsInView() {
        app().look()->setTextPercent(200);
        for (int i = 0; i < 8; ++i) app().model()->addFolder(QStringLiteral("/mine/%1").arg(i));
        QTest::keyClick(win(), Qt::Key_Comma, Qt::ControlModifier);
        QQuickItem* scroll = item("settingsScroll");
        QTRY_VERIFY(scroll->isVisible());
        QTRY_VERIFY(scroll->property("contentHeight").toReal() > scroll->height());
        QSet<QQuickItem*> seen;
        for (QQuickItem* at = win()->activeFocusItem(); at && !seen.contains(at); at = win()->activeFocusItem()) {
            seen << at;
            if (scroll->isAncestorOf(at)) {
                const QRectF box = at->mapRectToItem(scroll, at->boundingRect());
                QVERIFY2(box.top() >= 0 && box.bottom() <= scroll->height(), qPrintable(at->objectName()));
            }
            QTest::keyClick(win(), Qt::Key_Tab);
        }
        QVERIFY(seen.size() > 12);
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

    void aSourceIsInViewWhereItsPageIsLargerThanTheWindow() {
        openDocument();
        QQuickItem* pages = item("pages");
        QTRY_VERIFY(pages->property("count").toInt() > 12);
        for (int i = 0; i < 20; ++i) QTest::keyClick(win(), Qt::Key_Equal, Qt::ControlModifier);
        pages->setProperty("contentX", pages->property("contentWidth").toReal() - pages->width());
        app().pages()->show({"p. 12", 12, {}, "words", {{72, 128, 60, 14}}, 1.f});
        QTRY_COMPARE(pages->property("shownPage").toInt(), 12);
        const qreal scale = pages->property("scaling").toReal();
        QTRY_VERIFY(pages->property("contentX").toReal() <= (72 + 20) * scale);
        QVERIFY(pages->property("contentX").toReal() + pages->width() >= (72 + 60) * scale);
    }

    void pagesStandInTheMiddleAtEverySize() {
        openDocument();
        QQuickItem* pages = item("pages");
        QTRY_VERIFY(pages->property("count").toInt() > 12);
        // How far the farthest of the pages that exist is off the middle of what they are on.
        const auto off = [this, pages] {
            auto* content = pages->property("contentItem").value<QQuickItem*>();
            qreal most = 0;
            int count = 0;
            for (QQuickItem* row : content->childItems())
                if (const QQuickItem* page = shown(QStringLiteral("sharp"), row)) {
                    const QPointF middle = page->mapToItem(content, page->boundingRect().center());
                    most = std::max(most, std::abs(middle.x() - pages->property("contentWidth").toReal() / 2));
                    ++count;
                }
            return count < 2 ? qInf() : most;
        };
        QTRY_VERIFY(off() < 1);
        for (const auto key : {Qt::Key_Equal, Qt::Key_9, Qt::Key_0, Qt::Key_Minus}) {
            QTest::keyClick(win(), key, Qt::ControlModifier);
            QTRY_VERIFY(off() < 1);
        }
        pages->setProperty("contentY", 4 * pages->height());
        QTRY_VERIFY(off() < 1);
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

    void theQuotaOfReadingsIsChosenAndKeptAndWhatIsEvictedIsNamed() {
        QTest::keyClick(win(), Qt::Key_Comma, Qt::ControlModifier);
        QTRY_VERIFY(item("quota") && item("quota")->isVisible());
        QTRY_VERIFY(item("diskText")->property("text").toString().startsWith(QStringLiteral("3.4 GB of 18.2 GB")));
        click(item("quota"));
        type("7");
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(engine_->quotaBytes, 7'000'000'000u);
        QTRY_VERIFY(item("diskText")->property("text").toString().contains(QStringLiteral("of 7.0 GB")));
        QCOMPARE(Settings(folder_->filePath(QStringLiteral("window.ini"))).quotaGb(), 7);
        click(item("quotaAutomatic"));
        QTRY_COMPARE(engine_->quotaBytes, 0u);
        QTest::keyClick(win(), Qt::Key_Escape);
        for (const DocumentRow& row : engine_->rows)
            emit engine_->readingEvicted(QString::fromStdString(row.sha256), 5 << 20);
        for (const char* part : {"Reading list", "Debian Policy Manual", "5.0 MiB"})
            QVERIFY(app().problem().contains(QString::fromLatin1(part)));
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

    void theWindowsKeysWorkWhileASourceIsShownAndWhileTheMemoryIs() {
        openDocument();
        app().chat()->ask(QStringLiteral("Why?"));
        QTRY_VERIFY(app().chat()->answering());
        QTRY_VERIFY_WITH_TIMEOUT(!app().chat()->answering(), 20000);
        QQuickItem* chip = nullptr;
        QTRY_VERIFY((chip = shown(QStringLiteral("source1"))));
        chip->forceActiveFocus(Qt::TabFocusReason);
        QTRY_VERIFY(chip->property("cardShown").toBool());
        QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier);
        QTRY_VERIFY(item("findWords")->hasActiveFocus());
        QTest::keyClick(win(), Qt::Key_M, Qt::ControlModifier);
        auto* memory = win()->findChild<QObject*>(QStringLiteral("memoryPanel"));
        QTRY_VERIFY(memory->property("opened").toBool());
        QTest::keyClick(win(), Qt::Key_L, Qt::ControlModifier);
        QTRY_VERIFY(item("composer")->hasActiveFocus());
        QTest::keyClick(win(), Qt::Key_M, Qt::ControlModifier);
        QTRY_VERIFY(!memory->property("visible").toBool());
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

    void wordsAreFoundInAllDocumentsAndTheirPlaceIsOpenedByKeyboard() {
        openDocument();
        const std::string policy = ScriptedEngine::document("/demo/Debian Policy Manual.pdf").sha256;
        engine_->hits = {{policy, "p. 9", "a word of it", "a \2word\3 of <it>", 9, {9000, 12}, 2},
                         {policy, "p. 2", "one more word", "one more \2word\3", 2, {2000, 13}, 1}};
        QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier | Qt::ShiftModifier);
        QTRY_VERIFY(item("findAllWords")->hasActiveFocus());
        type("wor");
        QTRY_VERIFY(item("findAllNote")->property("text").toString().startsWith(QStringLiteral("No document")));
        type("d");
        QTRY_COMPARE(item("findAllHits")->property("count").toInt(), 2);
        QVERIFY(!item("library")->isVisible());
        QModelIndex first = app().finding()->index(0);
        QCOMPARE(first.data(LibraryFind::TitleRole).toString(), QStringLiteral("Debian Policy Manual"));
        QCOMPARE(first.data(LibraryFind::SnippetRole).toString(), QStringLiteral("a <b>word</b> of &lt;it&gt;"));
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(app().library()->currentTitle(), QStringLiteral("Debian Policy Manual"));
        QTRY_COMPARE(app().pages()->hit(), 3);
        QTRY_COMPARE(item("pages")->property("shownPage").toInt(), 9);
        QTRY_VERIFY(item("findWords")->isVisible());
        QCOMPARE(item("findWords")->property("text").toString(), QStringLiteral("word"));
        QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier | Qt::ShiftModifier);
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(item("library")->isVisible());
        QVERIFY(app().finding()->words().isEmpty());
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
        QTRY_VERIFY(app().reading()->fraction() > 0.1);  // of more than one cell
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
        QTRY_VERIFY(map->width() > 100 && app().tiers()->rows()[1].leaves.size() > 50);
        QTest::keyClick(win(), Qt::Key_Right);
        QTRY_VERIFY(!item("place")->property("text").toString().contains(QStringLiteral("tokens 0 to")));
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!app().tiers()->watching());
        QVERIFY(app().chat()->answering());
        const std::size_t polls = engine_->tierPolls.size();
        QTest::qWait(600);
        QCOMPARE(engine_->tierPolls.size(), polls);
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!app().chat()->answering());
    }

    void aCellOfTheMemoryShowsItsPageAndLeavesRoomForIt() {
        openDocument();
        QTRY_VERIFY(app().reading()->fraction() > 0.3);
        QTest::keyClick(win(), Qt::Key_M, Qt::ControlModifier);
        QTRY_VERIFY(app().tiers()->isOpen());
        auto* map = item("map");
        QTRY_VERIFY(map->hasActiveFocus());
        QTest::keyClick(win(), Qt::Key_Down);
        while (app().tiers()->cellAt(0, map->property("leaf").toInt()).first < 100)
            QTest::keyClick(win(), Qt::Key_Right);
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_VERIFY(app().pages()->markedPage() >= 4);  // of 25 leaves each
        auto* close = item("closeMemory");
        QTRY_VERIFY(close->mapToScene({0, 0}).y() > win()->height() * 0.4);
        click(item("wholeMemory"));
        QTRY_VERIFY(close->mapToScene({0, 0}).y() < 100);
        // And by mouse, near the end of what is read.
        QTest::mouseClick(win(), Qt::LeftButton, {}, map->mapToScene({map->width() * 0.2, 5}).toPoint());
        QTRY_VERIFY(app().pages()->markedPage() > 4);
    }

    void memoryIsChosenInTheSettingsAndSaysNothingThatWasNotMeasured() {
        openDocument();
        QTest::keyClick(win(), Qt::Key_Comma, Qt::ControlModifier);
        auto* content =
            win()->findChild<QObject*>(QStringLiteral("settingsDialog"))->property("contentItem").value<QQuickItem*>();
        QQuickItem* spare = nullptr;
        QTRY_VERIFY((spare = shown(QStringLiteral("memory0"), content)) && spare->isVisible());
        QVERIFY(QAccessible::queryAccessibleInterface(spare)
                    ->text(QAccessible::Name)
                    .endsWith(QStringLiteral("not measured yet")));
        spare->forceActiveFocus(Qt::TabFocusReason);
        QTest::keyClick(win(), Qt::Key_Space);
        const auto budgets = app().memory()->budgets()[0];
        QCOMPARE(engine_->memories.back(),
                 (std::pair<std::uint64_t, std::uint64_t>(budgets.deviceBytes, budgets.hostBytes)));
        QVERIFY(QAccessible::queryAccessibleInterface(spare)->state().checked);
        // While the document is being read nothing can be measured.
        app().memory()->measure();
        QVERIFY(!app().memory()->measuring());
        QTRY_VERIFY(shown(QStringLiteral("memoryNote"), content)->isVisible());
    }

    void theMapIsATableTooWithARowForEveryLayer() {
        openDocument();
        QTest::keyClick(win(), Qt::Key_M, Qt::ControlModifier);
        QTRY_VERIFY(app().tiers()->isOpen());
        click(item("memoryTable"));
        QTRY_VERIFY(item("layerTable")->isVisible());
        QVERIFY(!item("map")->isVisible());
        QStringList names;
        QTRY_VERIFY([&] {
            names.clear();
            const auto rows = item("layerTable")->childItems();
            for (QQuickItem* row : rows)
                if (QAccessibleInterface* face = QAccessible::queryAccessibleInterface(row))
                    if (face->role() == QAccessible::Row) names << face->text(QAccessible::Name);
            return names.size() == 24;
        }());
        QVERIFY(names[4].startsWith(QStringLiteral("Layer 5, Device ")));
        QVERIFY(names[4].contains(QStringLiteral("Disk only ")));
        QVERIFY(names[4].contains(QStringLiteral("Reads ")));
        QCOMPARE(app().tiers()->layers().size(), 24);
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

    void aDocumentIsForgottenFromItsMenuAndHadBackByKeyboard() {
        openDocument();
        QTRY_VERIFY(shown(QStringLiteral("documentState")));
        app().library()->load({});  // as at the start
        QTRY_COMPARE(item("library")->property("count").toInt(), 3);
        QTest::qWait(50);
        QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier | Qt::ShiftModifier);
        QTRY_VERIFY(item("findAllWords")->hasActiveFocus());
        type("x");
        QTest::keyClick(win(), Qt::Key_Escape);
        QTest::keyClick(win(), Qt::Key_F10, Qt::ShiftModifier);
        QObject* menu = win()->findChild<QObject*>(QStringLiteral("menuOfDocument"));
        QTRY_VERIFY(menu->property("opened").toBool());
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_VERIFY(app().library()->current().isEmpty());
        QTRY_VERIFY(item("forgotten")->isVisible());
        QVERIFY(item("forgotten")->property("text").toString().contains(QStringLiteral("Field notes")));
        QCOMPARE(engine_->rows.size(), 3u);
        QTest::keyClick(win(), Qt::Key_Z, Qt::ControlModifier);
        QTRY_COMPARE(app().library()->currentTitle(), QStringLiteral("Field notes"));
        QTRY_VERIFY(!item("forgotten")->isVisible());
        app().close();
        QCOMPARE(engine_->rows.size(), 3u);
    }

    void whatWasReadIsForgottenAndReadAgainFromTheMenu() {
        openDocument();
        QQuickItem* more = nullptr;
        QTRY_VERIFY((more = shown(QStringLiteral("menuOfField notes"))));
        click(more);
        QTRY_VERIFY(item("forgetReading") && item("forgetReading")->isVisible());
        QTRY_VERIFY(item("forgetReading")->isEnabled());
        click(item("forgetReading"));
        QTRY_COMPARE(app().reading()->fraction(), 0.0);
        QVERIFY(engine_->forgottenReadings.empty());
        click(item("undo"));
        QTRY_COMPARE(app().reading()->state(), ReadingController::Reading);
        QVERIFY(engine_->forgottenReadings.empty());
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

    void whatTabReachesEverywhereHasANameAndARole_data() {
        QTest::addColumn<QString>("place");
        for (const char* place : {"empty", "document", "answered", "find", "page", "problem", "memoryPanel",
                                  "settingsDialog", "keysDialog", "questionsDialog", "password", "chats", "model"})
            QTest::newRow(place) << QString::fromLatin1(place);
    }
    void whatTabReachesEverywhereHasANameAndARole() {
        QFETCH(const QString, place);
        QAccessible::setActive(true);
        if (place != QLatin1String("empty")) openDocument();
        if (place == QLatin1String("answered")) {
            app().chat()->ask(QStringLiteral("Why?"));
            QTRY_VERIFY(app().chat()->answering());
            QTRY_VERIFY_WITH_TIMEOUT(!app().chat()->answering(), 20000);
        }
        if (place == QLatin1String("find")) QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier);
        if (place == QLatin1String("page")) QTest::keyClick(win(), Qt::Key_G, Qt::ControlModifier);
        if (place == QLatin1String("problem")) {
            engine_->failures["add"] = Error{Code::Io, {}, {}};
            app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Broken.pdf"))});
            QTRY_VERIFY(item("remedy")->isVisible());
        }
        if (place == QLatin1String("password")) {
            app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/enc.pdf"))});
            QTRY_VERIFY(item("password")->hasActiveFocus());
        }
        if (place == QLatin1String("chats") || place == QLatin1String("model")) click(item(qPrintable(place)));
        if (place.endsWith(QLatin1String("Panel")) || place.endsWith(QLatin1String("Dialog"))) {
            auto* dialog = win()->findChild<QObject*>(place);
            QVERIFY(dialog && QMetaObject::invokeMethod(dialog, "open"));
            QTRY_VERIFY(dialog->property("opened").toBool());
        }
        QSet<QQuickItem*> seen;
        for (int i = 0; i < 80; ++i) {
            QTest::keyClick(win(), Qt::Key_Tab);
            QQuickItem* focus = win()->activeFocusItem();
            QVERIFY(focus);
            if (seen.contains(focus)) break;
            seen << focus;
            QAccessibleInterface* a = QAccessible::queryAccessibleInterface(focus);
            const QByteArray what = QByteArray(focus->metaObject()->className()) + ' ' + focus->objectName().toUtf8();
            QVERIFY2(a, what);
            const auto words = a->state().passwordEdit ? QAccessible::Description : QAccessible::Name;
            QVERIFY2(!a->text(words).trimmed().isEmpty(), what);
            QVERIFY2(a->role() != QAccessible::NoRole && a->role() != QAccessible::Client, what);
        }
        const bool window = place == QLatin1String("document") || place == QLatin1String("answered");
        QVERIFY2(seen.size() >= (window ? 6 : 1), qPrintable(QString::number(seen.size())));
    }

    // A screen reader hears of what appears, by the name it has then.
    void anAnswerThatHasEndedIsReadOut() {
        auto* announcer = win()->findChild<QQuickItem*>(QStringLiteral("announcer"));
        QVERIFY(announcer);
        QStringList heard;
        connect(announcer, &QQuickItem::visibleChanged, this, [&heard, announcer] {
            QAccessibleInterface* a = QAccessible::queryAccessibleInterface(announcer);
            if (announcer->isVisible() && a && a->role() == QAccessible::AlertMessage)
                heard << a->text(QAccessible::Name);
        });
        openDocument();
        for (int i = 1; i < 3; ++i) {
            app().chat()->ask(QStringLiteral("Why?"));
            QTRY_VERIFY(app().chat()->answering());
            QTRY_VERIFY_WITH_TIMEOUT(!app().chat()->answering(), 20000);
            QTRY_COMPARE(heard.count(QStringLiteral("Answer finished")), i);
        }
    }

    void aProblemIsASentenceThatCanBeClosed() {
        app().showProblem(QStringLiteral("The disk is full. Free some space."));
        QTRY_VERIFY(item("problem")->isVisible());
        QCOMPARE(item("problem")->property("text").toString(), app().problem());
        app().dismissProblem();
        QTRY_VERIFY(!item("problem")->isVisible());
    }

    void aFailureHasOneButtonThatDoesSomethingAboutIt() {
        engine_->failures["add"] = Error{Code::Io, "/x/Broken.pdf", "input/output error"};
        app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Broken.pdf"))});
        QTRY_VERIFY(item("problem")->isVisible());
        QVERIFY(app().problem().contains(QStringLiteral("not touched")));
        QCOMPARE(item("remedy")->property("text").toString(), QStringLiteral("Try again"));
        engine_->failures.clear();
        click(item("remedy"));
        QTRY_COMPARE(app().library()->currentTitle(), QStringLiteral("Broken"));
        QVERIFY(!item("problem")->isVisible());
        const QString report = app().report();
        QVERIFY2(report.contains(QStringLiteral("Io while Add")), qPrintable(report));
        QVERIFY2(!report.contains(QStringLiteral("Broken")), qPrintable(report));
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
