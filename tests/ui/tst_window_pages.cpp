#include "window_test.h"

using namespace carrel;
using namespace carrel::app;

// The document beside the answer: pages, words, links.
class TestWindowPages : public WindowTest {
    Q_OBJECT

  private slots:
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

    void theWindowAndItsPagesAreAsTheyWereLeft() {
        openDocument();
        QTRY_VERIFY(item("pages")->property("count").toInt() > 12);
        win()->resize(1100, 700);
        QQuickItem* pane = item("pages");
        QTRY_COMPARE(qRound(pane->mapToScene({pane->width(), 0}).x()), 1100);
        const qreal wide = pane->width();
        const int edge = qRound(pane->mapToScene({0, 0}).x()) - 1;
        drag({edge, 300}, {edge - 60, 300});
        QTRY_VERIFY(pane->width() > wide + 30);
        const qreal wider = pane->width();
        win()->resize(1120, 700);
        QTRY_COMPARE(qRound(pane->mapToScene({pane->width(), 0}).x()), 1120);
        QCOMPARE(pane->width(), wider);
        QTest::keyClick(win(), Qt::Key_G, Qt::ControlModifier);
        type("7");
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(pane->property("shownPage").toInt(), 7);
        const QString kept = QStringLiteral("place/") + app().library()->current();
        const auto left = [&] {
            return QSettings(folder_->filePath(QStringLiteral("window.ini")), QSettings::IniFormat)
                .value(kept)
                .toList();
        };
        QTRY_COMPARE(left().value(0).toInt(), 6);
        restart();
        QCOMPARE(win()->size(), QSize(1120, 700));
        QTRY_COMPARE(item("pages")->property("shownPage").toInt(), 7);
        QTRY_COMPARE(item("pages")->width(), wider);
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

    void linksAreReachedAndFollowedFromTheKeyboard() {
        engine_->pageLinks[1] = {{{70, 80, 120, 16}, {7, 100, 0}, {}}};  // on "line 1"
        engine_->pageLinks[9] = {{{70, 98, 120, 16}, {}, "https://example.org/x"}};
        openDocument();
        QQuickItem* pages = item("pages");
        QTRY_VERIFY(pages->property("count").toInt() > 12);
        pages->forceActiveFocus();
        QTest::keyClick(win(), Qt::Key_L);
        QTRY_COMPARE(app().pages()->selection()->text(), QStringLiteral("line 1"));
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(pages->property("shownPage").toInt(), 7);
        QTest::keyClick(win(), Qt::Key_L);
        QTRY_COMPARE(app().pages()->selection()->text(), QStringLiteral("line 2"));
        QTRY_COMPARE(pages->property("shownPage").toInt(), 9);
        QTest::keyClick(win(), Qt::Key_L, Qt::ShiftModifier);
        QTRY_COMPARE(app().pages()->selection()->text(), QStringLiteral("line 1"));
        QTRY_COMPARE(pages->property("shownPage").toInt(), 1);
        QTest::keyClick(win(), Qt::Key_L);
        QTRY_COMPARE(app().pages()->selection()->text(), QStringLiteral("line 2"));
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_VERIFY(item("no")->isVisible());  // asked about first
    }

    void pagesSeenBeforeAreNotDrawnAgain() {
        openDocument();
        QQuickItem* pages = item("pages");
        QTRY_VERIFY(pages->property("count").toInt() > 12);
        const auto drawn = [this] {  // once no more comes
            std::size_t before = 0;
            do before = engine_->rendered.size(), QTest::qWait(300);
            while (before != engine_->rendered.size());
            return engine_->rendered;
        };
        QVERIFY(!drawn().empty());
        const auto goTo = [&](int page) {
            QTest::keyClick(win(), Qt::Key_G, Qt::ControlModifier);
            type(std::to_string(page).c_str());
            QTest::keyClick(win(), Qt::Key_Return);
            (void)drawn();
        };
        for (int round = 0; round < 2; ++round) {
            for (int i = 0; i < 5; ++i) goTo(1 + 5 * i);
            for (int i = 5; i >= 0; --i) goTo(1 + 5 * i);
        }
        auto all = drawn();
        QVERIFY(all.size() <
                2 * 42);  // what was in view and a page around it, coarse and sharp: not the whole document
        std::ranges::sort(all);
        QVERIFY(std::ranges::adjacent_find(all) == all.end());
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
        QVERIFY(engine_->rendered.empty());
        engine_->failures.clear();
        click(again);
        QTRY_VERIFY(!engine_->rendered.empty());
        QTRY_VERIFY(!again->isVisible());
    }
};

int main(int argc, char** argv) {
    return runWindowTest<TestWindowPages>(argc, argv);
}
#include "tst_window_pages.moc"
