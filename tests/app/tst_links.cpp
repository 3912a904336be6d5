#include "app/pages_controller.h"
#include "tests/support/scripted_engine.h"

#include <QSignalSpy>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

// From link to link by keyboard. A page of ScriptedEngine has "Page N of the scripted document" at y 64, then "line 1"
// to "line 9", 18 points apart; words are 7 points a letter from x 72.
class TestLinks : public QObject {
    Q_OBJECT

    static PageLink link(int line, std::uint32_t target, const std::string& address = {}) {
        const auto y = static_cast<float>(62 + 18 * line);
        return {{70, y, 120, 16}, {target, 0, 0}, address};
    }

    struct Desk {
        ScriptedEngine engine;
        Passwords passwords;
        PagesController pages{engine, passwords};

        Desk() {
            engine.rows = {ScriptedEngine::document("/x/Notes.pdf")};
            pages.open(engine.rows[0]);
        }
        QString words() { return pages.selection()->text(); }
        int page() { return pages.selection()->page(); }
    };

  private slots:
    void linksAreChosenInReadingOrderAndOnToOtherPages() {
        Desk desk;
        QTRY_VERIFY(desk.pages.hasPages());
        // As a file may have them: in any order, one that may not be followed, one that is a picture's.
        desk.engine.pageLinks[1] = {
            link(5, 7), link(2, 9), link(3, 0, "file:///etc/passwd"), {{300, 500, 100, 100}, {3, 0, 0}, {}}};
        desk.engine.pageLinks[4] = {link(1, 0, "https://example.org/x")};
        QSignalSpy chosen(&desk.pages, &PagesController::linkChosen);
        desk.pages.nextLink(1, 1);
        QTRY_COMPARE(desk.words(), QStringLiteral("line 2"));
        QCOMPARE(desk.page(), 1);
        desk.pages.nextLink(1, 1);
        QTRY_COMPARE(desk.words(), QStringLiteral("line 5"));
        desk.pages.nextLink(1, 1);
        QTRY_COMPARE(desk.page(), 4);
        QCOMPARE(desk.words(), QStringLiteral("line 1"));
        QCOMPARE(chosen.size(), 3);
        QCOMPARE(chosen.back()[0].toInt(), 3);
        desk.pages.nextLink(-1, 4);
        QTRY_COMPARE(desk.words(), QStringLiteral("line 5"));
        desk.pages.nextLink(-1, 1);
        desk.pages.nextLink(-1, 1);  // there is none before the first
        QTRY_COMPARE(desk.words(), QStringLiteral("line 2"));
        QCOMPARE(chosen.size(), 5);
    }

    void theWalkBeginsAtThePageShownAndAtChosenWordsOnlyWhereTheyAreInView() {
        Desk desk;
        QTRY_VERIFY(desk.pages.hasPages());
        desk.engine.pageLinks[1] = {link(2, 9)};
        desk.engine.pageLinks[9] = {link(1, 1), link(6, 1)};
        desk.pages.nextLink(-1, 9);
        QTRY_COMPARE(desk.words(), QStringLiteral("line 6"));
        desk.pages.selection()->begin(9, {80, 64 + 18 * 3}, PageSelection::Word);
        QTRY_COMPARE(desk.words(), QStringLiteral("line"));
        desk.pages.nextLink(-1, 9);
        QTRY_COMPARE(desk.words(), QStringLiteral("line 1"));
        desk.pages.nextLink(1, 1);
        QTRY_COMPARE(desk.page(), 1);
        QCOMPARE(desk.words(), QStringLiteral("line 2"));
    }

    void theLinkWhoseWordsAreChosenIsFollowed() {
        Desk desk;
        QTRY_VERIFY(desk.pages.hasPages());
        desk.engine.pageLinks[2] = {link(4, 0, "https://example.org/x")};
        QSignalSpy outside(desk.pages.navigator(), &Navigator::addressWanted);
        desk.pages.nextLink(1, 1);
        QTRY_COMPARE(desk.page(), 2);
        const QRectF end = desk.pages.selection()->end();
        QVERIFY(desk.pages.navigator()->followLink(2, end.center()));
        QCOMPARE(outside.size(), 1);
    }

    void whatIsChosenMeanwhileStays() {
        Desk desk;
        QTRY_VERIFY(desk.pages.hasPages());
        desk.engine.pageLinks[30] = {link(2, 9)};
        desk.pages.selection()->begin(1, {80, 70}, PageSelection::Word);
        QTRY_COMPARE(desk.words(), QStringLiteral("Page"));
        desk.pages.nextLink(1, 1);
        desk.pages.selection()->begin(1, {80, 64 + 18 * 3}, PageSelection::Word);
        QSignalSpy known(desk.pages.navigator(), &Navigator::linksKnown);
        QTRY_VERIFY(!known.isEmpty());
        for (int i = 0; i < 50; ++i) QCoreApplication::processEvents();
        QCOMPARE(desk.words(), QStringLiteral("line"));
        QCOMPARE(known.size(), 1);
    }

    void pagesWhoseLinksCannotBeReadArePassedOver() {
        Desk desk;
        QTRY_VERIFY(desk.pages.hasPages());
        desk.engine.failures["links"] = Error{Code::Corrupt, {}, {}};
        QSignalSpy known(desk.pages.navigator(), &Navigator::linksKnown);
        desk.pages.nextLink(1, 40);
        QTRY_COMPARE(known.size(), 3);  // 40 to 42, and no further
        QVERIFY(!desk.pages.selection()->any());
    }
};

QTEST_GUILESS_MAIN(TestLinks)
#include "tst_links.moc"
