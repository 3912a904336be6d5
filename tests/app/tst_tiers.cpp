#include "app/tier_controller.h"
#include "app/tier_map.h"
#include "tests/support/scripted_engine.h"

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
        v.rows = {{0, 0, {{0, 512, 0, 1.f}, {512, 512, 1, 0.25f}}}, {1, 0, {{0, 1024, 2, 0.f}}}};
        return v;
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
        QVERIFY(d.tiers.at(0, 600).contains(QStringLiteral("in host, read for 25\u00a0%")));
        QVERIFY(d.tiers.at(1, 0).contains(QStringLiteral("not read lately")));
        QVERIFY(d.tiers.at(0, 1024).isEmpty());
        QVERIFY(d.tiers.at(7, 0).isEmpty());
    }

    void aRateComesOfTwoPollsAndStartsOverWithTheCounters() {
        Desk d;
        d.engine.tierView = view();
        d.tiers.setWatching(true);
        d.next();
        d.next();
        QCOMPARE(d.cell(2, "rate"), QStringLiteral("0.0 MB/s"));
        d.engine.tierView->report.disk.bytesRead += 50'000'000;
        d.next();
        QVERIFY(!d.cell(2, "rate").startsWith(QStringLiteral("0.0 ")));
        QVERIFY(d.cell(2, "rate").endsWith(QStringLiteral(" MB/s")));
        QCOMPARE(d.cell(0, "rate"), QStringLiteral("0.0 MB/s"));
        d.engine.tierView->report.disk.bytesRead = 10;
        d.next();
        QCOMPARE(d.cell(2, "rate"), QStringLiteral("–"));
    }

    void whatAWordCostsStaysAfterTheAnswer() {
        Desk d;
        d.engine.tierView = view();
        d.tiers.setWatching(true);
        QTRY_VERIFY(d.tiers.isOpen());
        QVERIFY(d.tiers.summary().contains(QStringLiteral("Nothing was answered")));
        d.engine.tierView->report.steps = 7;
        d.engine.tierView->report.tokensReadShare = 0.041;
        d.next();
        QVERIFY(d.tiers.summary().contains(QStringLiteral("4.1\u00a0%")));
        d.engine.tierView->report.steps = 0;
        d.engine.tierView->report.tokensReadShare = 1;
        d.next();
        QVERIFY(d.tiers.summary().contains(QStringLiteral("4.1\u00a0%")));
    }

    void thePictureHasTheTiersColoursWhereTheTokensAre() {
        Desk d;
        d.engine.tierView = view();
        d.tiers.setWatching(true);
        QTRY_VERIFY(d.tiers.isOpen());
        TierMap map;
        map.setProperty("device", QColor(Qt::blue));
        map.setProperty("host", QColor(Qt::red));
        map.setProperty("disk", QColor(Qt::black));
        map.setProperty("paper", QColor(Qt::white));
        map.setTiers(&d.tiers);
        QCOMPARE(map.rows(), 2);
        const QImage image = map.draw(100, 4);
        QCOMPARE(image.size(), QSize(100, 8));
        QCOMPARE(image.pixelColor(0, 0), QColor(Qt::blue));  // read for every word: its full colour
        const QColor host = image.pixelColor(99, 0);
        QCOMPARE(host.red(), 255);
        QVERIFY(host.blue() > 60 && host.blue() < 120);  // less used: paler
        const QColor disk = image.pixelColor(50, 4);
        QVERIFY(disk.red() == disk.blue() && disk.red() > 120 && disk.red() < 255);
        QCOMPARE(image.pixelColor(50, 3), QColor(Qt::white));  // between layers
    }
};

QTEST_MAIN(TestTiers)
#include "tst_tiers.moc"
