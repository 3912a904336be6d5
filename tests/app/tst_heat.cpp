#include "app/heat_map.h"

#include <QImage>
#include <QSignalSpy>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

// What the strip beside the pages says and draws.
class TestHeat : public QObject {
    Q_OBJECT

    static TurnRow turn(std::vector<float> shares, std::uint32_t read, bool goesOn = false) {
        TurnRow row;
        row.pageShares = std::move(shares);
        row.coverage = {read, static_cast<std::uint32_t>(row.pageShares.size()), read, row.pageShares.size(), goesOn};
        return row;
    }

  private slots:
    void theTwinInWordsNamesThePagesMostReadAndThoseThatWereNotUsed() {
        PageHeat heat;
        QSignalSpy changed(&heat, &PageHeat::changed);
        heat.show(turn({0.1f, 0.5f, 0.01f, 0.3f, 0.09f, 0, 0}, 5));
        QCOMPARE(changed.count(), 1);
        QCOMPARE(heat.summary(), QStringLiteral("Pages most read: 2, 4, 1. Pages 6 and 7 were not used"));
        heat.show(turn({0.99f, 0.01f, 0}, 2, true));
        QCOMPARE(heat.summary(), QStringLiteral("Page most read: 1. Page 3 was not read yet"));
        heat.show(turn({0.5f, 0.5f}, 2));
        QCOMPARE(heat.summary(), QStringLiteral("Pages most read: 1, 2"));
        heat.show({});
        QCOMPARE(heat.pages(), 0);
        QCOMPARE(heat.summary(), QString());
    }

    void aPageSaysWhetherItWasReadAndHowMuch() {
        DocumentRow document;
        document.pagesWithoutText = {3};
        PageHeat heat;
        heat.setDocument(document);
        heat.show(turn({0.65f, 0.35f, 0, 0.004f, 0, 0}, 3));
        QCOMPARE(heat.textOf(1, 1), QStringLiteral("Page 1: 65 % of the attention"));
        QCOMPARE(heat.textOf(3, 3), QStringLiteral("Page 3: no text"));
        QCOMPARE(heat.textOf(4, 4), QStringLiteral("Page 4: less than 1 % of the attention"));  // read in part
        QCOMPARE(heat.textOf(5, 6), QStringLiteral("Pages 5-6: not used"));
        QCOMPARE(heat.textOf(1, 3), QStringLiteral("Pages 1-3: 100 % of the attention"));
        QCOMPARE(heat.textOf(6, 7), QString());
    }

    void everyPageIsInExactlyOneCellHoweverManyThereAre_data() {
        QTest::addColumn<int>("pages");
        QTest::addColumn<int>("height");
        for (const int pages : {1, 2, 42, 193, 300, 2400})
            for (const int height : {7, 90, 601}) QTest::addRow("%d pages in %d px", pages, height) << pages << height;
    }
    void everyPageIsInExactlyOneCellHoweverManyThereAre() {
        QFETCH(const int, pages);
        QFETCH(const int, height);
        std::vector<float> shares(static_cast<std::size_t>(pages), 0.1f / static_cast<float>(pages));
        shares[static_cast<std::size_t>(pages) * 2 / 3] = 0.9f;
        PageHeat heat;
        heat.show(turn(shares, static_cast<std::uint32_t>(pages)));
        HeatMap map;
        map.setSize({12, static_cast<qreal>(height)});
        map.setHeat(&heat);
        QVERIFY(map.cells() >= 1 && map.cells() <= pages && (map.cells() == pages || map.cells() * 3 <= height));
        int last = 0;
        for (int page = 1; page <= pages; ++page) {
            const int cell = map.cellOf(page);
            QVERIFY(cell == last || cell == last + 1);
            last = cell;
        }
        QCOMPARE(last, map.cells() - 1);
        const int hot = map.cellOf(pages * 2 / 3 + 1);
        QCOMPARE(map.pageOf(hot), pages * 2 / 3 + 1);
        QCOMPARE(map.cellAt((map.topOf(hot) + map.topOf(hot + 1)) / 2), hot);
        QCOMPARE(map.cellAt(-1), -1);
        QCOMPARE(map.pageOf(-1), 0);
        QVERIFY(!map.textOf(hot).isEmpty());
    }

    void whatWasReadMoreIsStrongerAndWhatWasNotReadIsNoCell() {
        DocumentRow document;
        document.pagesWithoutText = {3};
        PageHeat heat;
        heat.setDocument(document);
        heat.show(turn({0.8f, 0.2f, 0, 0}, 3));
        HeatMap map;
        map.setProperty("hot", QColor(Qt::black));
        map.setProperty("cold", QColor(Qt::white));
        map.setProperty("line", QColor(Qt::red));
        map.setSize({12, 80});
        map.setHeat(&heat);
        const QImage image = map.draw(12, 80);
        const auto at = [&](int x, int y) { return image.pixelColor(x, y); };
        QCOMPARE(at(6, 5), QColor(Qt::black));
        QVERIFY(at(6, 25).lightness() > 64 && at(6, 25).lightness() < 192);
        QCOMPARE(at(0, 45), QColor(Qt::red));  // a frame
        QCOMPARE(at(6, 48).alpha(), 0);
        QCOMPARE(at(6, 65), QColor(Qt::red));  // a line
        QCOMPARE(at(1, 65).alpha(), 0);
    }
};

QTEST_MAIN(TestHeat)
#include "tst_heat.moc"
