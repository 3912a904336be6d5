#include "app/tier_controller.h"
#include "app/tier_map.h"
#include "tests/support/scripted_engine.h"

#include <QLocale>
#include <QSignalSpy>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

// What the tier view asks of the engine, and what it makes of the counters.
class TestTiers : public QObject {
    Q_OBJECT

    struct Desk {
        ScriptedEngine engine;
        TierController tiers{engine};
        Desk() { tiers.setDocument(QStringLiteral("doc")); }
        std::size_t polls() const { return engine.tierPolls.size(); }
        QString cell(int tier, const char* key) const {
            return tiers.tiers().value(tier).toMap().value(QString::fromLatin1(key)).toString();
        }
        void settle() {  // until words are renewed
            QSignalSpy words(&tiers, &TierController::wordsChanged);
            [&] { QTRY_VERIFY(words.count() >= 3); }();
        }
        void next() {
            const std::size_t before = polls();
            [&] { QTRY_VERIFY(polls() > before); }();
            QCoreApplication::processEvents();
        }
    };
    static TierView view() {
        TierView v;
        v.report.device = {64u << 20, 64u << 20, 32u << 20, 9'000'000, 90, 10, 0};
        v.report.host = {256u << 20, 0, 1u << 20, 0, 5, 5, 0.25};
        v.report.disk = {0, 0, 0, 1'000'000, 0, 0, 1.5};
        v.report.codec = "k8v8";
        v.rows = {{0, 0, {}}, {1, 0, {}}};
        v.rows[0].leaves = chunk(32, Tier::Device, 0xffff);
        for (const LeafPlace& leaf : chunk(32, Tier::Host, 0x4000)) v.rows[0].leaves.push_back(leaf);
        v.rows[1].leaves = chunk(64, Tier::Disk, 0);
        v.totalTokens = 1024;
        v.pageStarts = {10, 500, 900};
        return v;
    }
    static std::vector<LeafPlace> chunk(std::size_t leaves, Tier tier, std::uint16_t use) {
        std::vector<LeafPlace> out(leaves, {{}, use, tier, tier == Tier::Host, false});
        out[0].startsChunk = true;
        return out;
    }
    /// A step of an answer: leaf of row 0 is read, and counted, from where it is.
    static void read(TierView& v, std::size_t row, std::size_t leaf) {
        LeafPlace& place = v.rows[row].leaves[leaf];
        ++place.reads[static_cast<std::size_t>(place.tier)];
        v.report.device.hits += place.tier == Tier::Device ? 1 : 0;
        v.report.host.hits += place.tier == Tier::Host ? 1 : 0;
        v.report.host.misses += place.tier == Tier::Disk ? 1 : 0;
        v.report.disk.bytesRead += place.tier == Tier::Disk ? 4096 : 0;
        v.report.device.bytesRead += 2048;
        place.tier = Tier::Device;
    }
    static TierMap& painted(TierMap& map, Desk& d) {
        map.setProperty("device", QColor(Qt::blue));
        map.setProperty("host", QColor(Qt::red));
        map.setProperty("disk", QColor(Qt::black));
        map.setProperty("arrived", QColor(Qt::green));
        map.setProperty("paper", QColor(Qt::white));
        map.setTiers(&d.tiers);
        return map;
    }

  private slots:
    void theEngineIsAskedOnlyWhileSomebodyLooks() {
        Desk d;
        QTest::qWait(600);
        QCOMPARE(d.polls(), 0u);
        d.tiers.setWatching(true);
        QTRY_VERIFY(d.polls() >= 3);
        d.tiers.setWatching(false);
        const std::size_t then = d.polls();
        QTest::qWait(600);
        QCOMPARE(d.polls(), then);
    }

    void theNextPollWaitsForTheLastReply() {
        Desk d;
        d.engine.holdTiers = true;
        d.tiers.setWatching(true);
        QTest::qWait(800);
        QCOMPARE(d.polls(), 1u);
        d.engine.heldTiers[0](std::optional(view()));
        QVERIFY(d.tiers.isOpen());
        QTRY_COMPARE(d.polls(), 2u);

        // Another document: a reply for the one before is not shown.
        d.tiers.setDocument(QStringLiteral("other"));
        QCOMPARE(d.polls(), 3u);
        QVERIFY(!d.tiers.isOpen());
        d.engine.heldTiers[1](std::optional(view()));
        QVERIFY(!d.tiers.isOpen());
        d.engine.heldTiers[2](std::optional<TierView>());
        QVERIFY(!d.tiers.isOpen());
    }

    void nothingIsShownOfADocumentThatIsNotOpen() {
        Desk d;
        d.tiers.setWatching(true);
        d.next();
        QVERIFY(!d.tiers.isOpen());
        QVERIFY(d.tiers.tiers().isEmpty());
        d.engine.tierView = view();
        d.next();
        QVERIFY(d.tiers.isOpen());
        d.engine.failures["tiers"] = Error{Code::Io, {}, {}};
        d.next();
        QVERIFY(!d.tiers.isOpen());
    }

    void countersAreShownAsTheyAre() {
        Desk d;
        d.engine.tierView = view();
        d.tiers.setWatching(true);
        QTRY_VERIFY(d.tiers.isOpen());
        QCOMPARE(d.cell(0, "used"), QStringLiteral("32.0 MiB of 64.0 MiB"));
        QCOMPARE(d.cell(0, "found"), QStringLiteral("90\u00a0%"));
        QCOMPARE(d.cell(1, "stalls"), QStringLiteral("0.3 s"));
        QCOMPARE(d.cell(2, "used"), QStringLiteral("–"));   // the engine counts none
        QCOMPARE(d.cell(2, "found"), QStringLiteral("–"));  // nothing was looked for
        QCOMPARE(d.cell(2, "rate"), QStringLiteral("–"));   // one poll is no rate
        QVERIFY(d.tiers.summary().contains(QStringLiteral("k8v8")));
        QCOMPARE(d.tiers.places(), QStringLiteral("25\u00a0% in device, 25\u00a0% in host, 50\u00a0% on disk only"));
        QCOMPARE(d.tiers.textOf(0, 40),
                 QStringLiteral("Layer 1, head 1, tokens 512 to 1023, p. 2: in host, read for 25\u00a0% of the last "
                                "words"));
        QVERIFY(d.tiers.textOf(1, 0).contains(QStringLiteral("not read lately")));
        QVERIFY(d.tiers.textOf(0, 64).isEmpty());
        QVERIFY(d.tiers.textOf(7, 0).isEmpty());
        QVERIFY(d.tiers.textOf(-1, 0).isEmpty());
    }

    void aRateComesOfTwoPollsAndStartsOverWithTheCounters() {
        Desk d;
        d.engine.tierView = view();
        d.tiers.setWatching(true);
        d.next();
        d.next();
        QCOMPARE(d.cell(2, "rate"), QStringLiteral("0.0 MB/s"));
        d.engine.tierView->report.disk.bytesRead += 50'000'000;
        d.settle();
        QVERIFY(!d.cell(2, "rate").startsWith(QStringLiteral("0.0 ")));
        QVERIFY(d.cell(2, "rate").endsWith(QStringLiteral(" MB/s")));
        QCOMPARE(d.cell(0, "rate"), QStringLiteral("0.0 MB/s"));
        d.engine.tierView->report.disk.bytesRead = 10;
        d.engine.tierView->counting = 2;
        d.settle();
        QCOMPARE(d.cell(2, "rate"), QStringLiteral("0.0 MB/s"));
    }

    void whatAWordCostsStaysAfterTheAnswer() {
        Desk d;
        d.engine.tierView = view();
        d.tiers.setWatching(true);
        QTRY_VERIFY(d.tiers.isOpen());
        QVERIFY(d.tiers.summary().contains(QStringLiteral("Nothing was answered")));
        d.engine.tierView->report.steps = 7;
        d.engine.tierView->report.tokensReadShare = 0.041;
        d.settle();
        QVERIFY(d.tiers.summary().contains(QStringLiteral("4.1\u00a0%")));
        d.engine.tierView->report.steps = 0;
        d.engine.tierView->report.tokensReadShare = 1;
        d.engine.tierView->counting = 2;
        d.settle();
        QVERIFY(d.tiers.summary().contains(QStringLiteral("4.1\u00a0%")));
    }

    void thePictureHasTheTiersColoursWhereTheTokensAre() {
        Desk d;
        d.engine.tierView = view();
        d.engine.tierView->totalTokens = 2048;  // half of it is read
        d.tiers.setWatching(true);
        QTRY_VERIFY(d.tiers.isOpen());
        TierMap map;
        painted(map, d);
        QCOMPARE(map.rows(), 2);
        const QImage image = map.draw(200, 4);
        QCOMPARE(image.size(), QSize(200, 8));
        const QColor device = image.pixelColor(0, 0);
        QCOMPARE(device.blue(), 255);
        const QColor host = image.pixelColor(99, 0);
        QCOMPARE(host.red(), 255);
        QVERIFY(host.blue() > device.red());  // less used: paler
        const QColor disk = image.pixelColor(50, 4);
        QVERIFY(disk.red() == disk.blue() && disk.red() > 120 && disk.red() < 255);
        QCOMPARE(image.pixelColor(50, 3), QColor(Qt::white));   // between layers
        QCOMPARE(image.pixelColor(150, 0), QColor(Qt::white));  // not read yet
    }

    void whatIsReadFlashesInTheColourOfWhereItCameFromAndFades() {
        Desk d;
        d.engine.tierView = view();
        read(*d.engine.tierView, 1, 5);  // before anybody looked: no news
        d.tiers.setWatching(true);
        QTRY_VERIFY(d.tiers.isOpen());
        QVERIFY(!d.tiers.heat().fading());
        TierMap map;
        painted(map, d);
        d.engine.holdTiers = true;
        QTRY_VERIFY(!d.engine.heldTiers.empty());
        read(*d.engine.tierView, 0, 40);
        read(*d.engine.tierView, 1, 0);
        read(*d.engine.tierView, 0, 0);
        d.engine.heldTiers.back()(d.engine.tierView);
        QImage image = map.draw(64, 4);
        QCOMPARE(image.pixelColor(0, 0), QColor(Qt::blue));   // was there: its full colour
        QCOMPARE(image.pixelColor(40, 0), QColor(Qt::red));   // brought from host
        QCOMPARE(image.pixelColor(0, 4), QColor(Qt::green));  // brought from disk
        QVERIFY(image.pixelColor(5, 4).red() > 100);          // and this one long ago
        d.engine.holdTiers = false;
        const std::size_t then = d.polls();
        d.tiers.setDocument({});
        d.tiers.setDocument(QStringLiteral("doc"));
        QTRY_VERIFY(d.polls() > then && d.tiers.isOpen());
        read(*d.engine.tierView, 1, 9);
        QTRY_VERIFY(d.tiers.heat().fading());
        QTRY_VERIFY(!d.tiers.heat().fading());
        image = map.draw(64, 4);
        QCOMPARE(image.pixelColor(9, 4).blue(), 255);  // in device now, and no more than that
        QVERIFY(image.pixelColor(9, 4).red() > 100);
    }

    void aReadIsNewsOnceAndCountersThatBeginAnewAreAllNews() {
        TierHeat heat;
        TierView v = view();
        heat.look(v, 0);
        QCOMPARE(heat.reads(), (std::array<std::uint64_t, 3>{0, 0, 0}));
        read(v, 0, 0);
        read(v, 0, 40);
        read(v, 1, 7);
        read(v, 1, 7);  // by now in device
        heat.look(v, 0.03);
        QCOMPARE(heat.reads(), (std::array<std::uint64_t, 3>{2, 1, 1}));
        heat.look(v, 0.03);
        QCOMPARE(heat.reads(), (std::array<std::uint64_t, 3>{0, 0, 0}));
        TierView anew = view();
        anew.counting = 2;
        for (int i = 0; i < 5; ++i) read(anew, 0, 0);
        heat.look(anew, 0.03);
        QCOMPARE(heat.reads(), (std::array<std::uint64_t, 3>{5, 0, 0}));
        heat.lookAway();
        read(anew, 0, 3);
        heat.look(anew, 3);
        QCOMPARE(heat.reads(), (std::array<std::uint64_t, 3>{0, 0, 0}));
    }

    void everyTotalIsTheCounterOfTheSameStep() {
        Desk d;
        d.tiers.setWatching(true);
        TierHeat heat;
        std::array<std::uint64_t, 3> before{};
        for (const std::uint64_t step : {0u, 1u, 2u, 40u, 90u}) {
            const TierView v = ScriptedEngine::madeUpTiers(4096, 8192, step);
            const std::array<std::uint64_t, 3> counted{v.report.device.hits, v.report.host.hits, v.report.host.misses};
            heat.look(v, 0.03);
            for (std::size_t tier = 0; tier < 3; ++tier) QCOMPARE(heat.reads()[tier], counted[tier] - before[tier]);
            before = counted;
            d.engine.tierView = v;
            d.settle();
            const QLocale locale;
            QCOMPARE(d.tiers.reads(),
                     QStringLiteral("Read since the question: %1 pieces in device, %2 brought from host, %3 brought "
                                    "from disk")
                         .arg(locale.toString(qulonglong{counted[0]}), locale.toString(qulonglong{counted[1]}),
                              locale.toString(qulonglong{counted[2]})));
            // The table's rows together, too.
            std::array<qulonglong, 3> sums{};
            const QVariantList layers = d.tiers.layers();
            QCOMPARE(layers.size(), 24);
            for (const QVariant& layer : layers) {
                const QVariantMap row = layer.toMap();
                const auto number = [&](const char* key) {
                    return locale.toULongLong(row.value(QString::fromLatin1(key)).toString());
                };
                sums[0] += number("reads");
                sums[1] += number("fromHost");
                sums[2] += number("fromDisk");
            }
            QCOMPARE(sums[0], counted[0] + counted[1] + counted[2]);
            QCOMPARE(sums[1], counted[1]);
            QCOMPARE(sums[2], counted[2]);
        }
        QVERIFY(before[0] > 0 && before[1] > 0 && before[2] > 0);
    }

    void aCellIsAChunkAndKeysGoFromOneToTheNext() {
        Desk d;
        d.engine.tierView = view();
        d.engine.tierView->rows[0].leaves[8].startsChunk = true;
        d.engine.tierView->rows[0].leaves[9].startsChunk = true;
        d.tiers.setWatching(true);
        QTRY_VERIFY(d.tiers.isOpen());
        TierMap map;
        painted(map, d);
        map.setRoom(20);
        map.setWidth(640);  // a leaf is 10 pixels wide
        QCOMPARE(map.rowHeight(), 10);
        QCOMPARE(map.leafAt(95), 9);
        QCOMPARE(map.cellRect(0, 3), QRectF(0, 0, 80, 10));
        QCOMPARE(map.cellRect(0, 8), QRectF(80, 0, 10, 10));
        QCOMPARE(map.cellRect(1, 8), QRectF(0, 10, 640, 10));
        QVERIFY(map.cellRect(0, 64).isEmpty());
        QCOMPARE(map.next(0, 3, 1), 8);
        QCOMPARE(map.next(0, 8, 1), 9);
        QCOMPARE(map.next(0, 9, -1), 8);
        QCOMPARE(map.next(0, 0, -1), 0);
        QCOMPARE(map.next(0, 40, 1), 32);  // the last
        map.setWidth(64);
        QCOMPARE(map.next(0, 9, -1), 0);  // one of a pixel is skipped
        d.tiers.showPage(0, 8);
        QCOMPARE(d.engine.placesAsked.back(), (std::pair<std::uint32_t, std::uint32_t>(128, 16)));
        QSignalSpy found(&d.tiers, &TierController::pageFound);
        d.tiers.showPage(0, 40);
        QCOMPARE(d.engine.placesAsked.back(), (std::pair<std::uint32_t, std::uint32_t>(512, 512)));
        QTRY_COMPARE(found.count(), 2);
        d.tiers.showPage(0, 99);
        QCOMPARE(d.engine.placesAsked.size(), 2u);
    }

    void theEngineIsAskedThirtyTimesASecondOnlyWhileItReads() {
        Desk d;
        d.engine.tierView = view();
        d.tiers.setWatching(true);
        QTRY_VERIFY(d.tiers.isOpen());
        const auto interval = [&] { return d.tiers.findChild<QTimer*>(QStringLiteral("poll"))->interval(); };
        QTRY_COMPARE(interval(), 250);
        read(*d.engine.tierView, 0, 0);
        QTRY_COMPARE(interval(), 33);
        QTRY_COMPARE(interval(), 250);
    }
};

QTEST_MAIN(TestTiers)
#include "tst_tiers.moc"
