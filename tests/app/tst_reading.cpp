#include "app/reading_controller.h"
#include "tests/support/scripted_engine.h"

#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

class TestReading : public QObject {
    Q_OBJECT

    struct Desk {
        QTemporaryDir folder;
        ScriptedEngine engine;
        Passwords passwords;
        Settings settings{folder.filePath(QStringLiteral("window.ini"))};
        ReadingController reading{engine, passwords, settings};
        QSignalSpy problems{&reading, &ReadingController::problem};

        void open(const QString& sha = QStringLiteral("doc")) {
            reading.modelLoaded();
            reading.open(sha);
            QCoreApplication::processEvents();
        }
        void progress(std::size_t which, std::uint32_t page, double eta = 130) {
            ReadingProgress p;
            p.tokensDone = page * 100;
            p.tokensTotal = 4200;
            p.pagesDone = page;
            p.pagesTotal = 42;
            p.tokensPerSecond = 180;
            p.etaSeconds = eta;
            emit engine.readingProgress(engine.reads.at(which).ticket, p);
        }
    };
    using State = ReadingController::State;

  private slots:
    void anOpenedDocumentIsReadAndSaysHowFarItIs() {
        Desk d;
        d.open();
        QCOMPARE(d.engine.reads.size(), 1u);
        QVERIFY(!d.reading.canAnswer(QStringLiteral("doc")));
        d.progress(0, 12);
        QCOMPARE(d.reading.state(), State::Reading);
        QCOMPARE(d.reading.text(), QStringLiteral("Page 12 of 42 · 180 tokens/s · about 2 min left"));
        QVERIFY(d.reading.canAnswer(QStringLiteral("doc")));
        d.engine.endReading(0, ScriptedEngine::summary("doc", 42, 42));
        QCOMPARE(d.reading.state(), State::Ready);
        QCOMPARE(d.reading.text(), QStringLiteral("Read all 42 pages"));
    }

    void pagesThatGaveNoTextAreNamed() {
        Desk d;
        d.engine.summaries["doc"] = ScriptedEngine::summary("doc", 42, 42);
        d.open();
        d.reading.open(QStringLiteral("doc"), {2, 3});
        QCOMPARE(d.reading.text(), QStringLiteral("Read all 42 pages. Pages 2 and 3 have no text"));
        d.reading.open(QStringLiteral("doc"));
        QCOMPARE(d.reading.text(), QStringLiteral("Read all 42 pages"));
    }

    void aDocumentReadBeforeIsReadyWithoutReading() {
        Desk d;
        d.engine.summaries["doc"] = ScriptedEngine::summary("doc", 42, 42);
        d.reading.modelLoaded();
        d.reading.open(QStringLiteral("doc"));
        QCOMPARE(d.reading.text(), QStringLiteral("Opening…"));
        QCoreApplication::processEvents();
        QCOMPARE(d.reading.state(), State::Ready);
        QVERIFY(d.engine.reads.empty());
    }

    void anUnfinishedReadingGoesOnByItself() {
        Desk d;
        d.engine.summaries["doc"] = ScriptedEngine::summary("doc", 7, 42);
        d.open();
        QCOMPARE(d.engine.reads.size(), 1u);
        QVERIFY(d.reading.canAnswer(QStringLiteral("doc")));
    }

    void whatThePersonPausedStaysPausedAtTheNextStart() {
        Desk d;
        d.settings.setPaused(QStringLiteral("doc"), true);
        d.engine.summaries["doc"] = ScriptedEngine::summary("doc", 7, 42);
        d.open();
        QCOMPARE(d.reading.state(), State::Paused);
        QVERIFY(d.engine.reads.empty());
    }

    void pauseStopsWithoutAnEventAndResumeReadsOn() {
        Desk d;
        d.open();
        d.progress(0, 3);
        d.reading.pause();
        QVERIFY(d.engine.reads[0].stop.stop_requested());
        QCOMPARE(d.reading.state(), State::Pausing);
        d.engine.endReading(0, Error{Code::Cancelled, {}, {}});
        QCOMPARE(d.reading.state(), State::Paused);
        QCOMPARE(d.reading.text(), QStringLiteral("Paused after page 3 of 42"));
        d.reading.resume();
        QCOMPARE(d.engine.reads.size(), 2u);
        QVERIFY(!d.engine.reads[1].stop.stop_requested());
        QVERIFY(!d.settings.paused(QStringLiteral("doc")));
    }

    void whatIsForgottenStopsAndGoesOnWhenItIsKept() {
        Desk d;
        d.open();
        d.progress(0, 3);
        d.reading.hide(QStringLiteral("doc"));
        QVERIFY(d.engine.reads[0].stop.stop_requested());
        d.engine.endReading(0, Error{Code::Cancelled, {}, {}});
        QCOMPARE(d.reading.fraction(), 0.0);
        QVERIFY(d.reading.text().contains(QStringLiteral("forgotten")));
        QVERIFY(d.reading.canResume());
        d.engine.summaries["doc"] = ScriptedEngine::summary("doc", 3, 42);
        d.reading.keep(QStringLiteral("doc"));
        QTRY_COMPARE(d.engine.reads.size(), 2u);
        d.progress(1, 4);
        QCOMPARE(d.reading.state(), State::Reading);
        QVERIFY(d.engine.forgottenReadings.empty());
    }

    void whatIsKeptBeforeItHasStoppedGoesOnAsSoonAsItHas() {
        Desk d;
        d.open();
        d.progress(0, 3);
        d.reading.hide(QStringLiteral("doc"));
        d.reading.keep(QStringLiteral("doc"));
        QCOMPARE(d.engine.reads.size(), 1u);
        d.engine.endReading(0, Error{Code::Cancelled, {}, {}});
        QTRY_COMPARE(d.engine.reads.size(), 2u);
        QVERIFY(!d.engine.reads[1].stop.stop_requested());
    }

    void whatWasForgottenForGoodIsReadOnlyWhenItIsAskedFor() {
        Desk d;
        d.open();
        d.progress(0, 3);
        d.reading.hide(QStringLiteral("doc"));
        d.engine.endReading(0, Error{Code::Cancelled, {}, {}});
        d.reading.gone(QStringLiteral("doc"));
        QCOMPARE(d.reading.text(), QStringLiteral("Not read yet"));
        QVERIFY(d.settings.paused(QStringLiteral("doc")));
        d.reading.open(QStringLiteral("other"));
        d.reading.open(QStringLiteral("doc"));
        QCoreApplication::processEvents();
        QCOMPARE(d.engine.reads.size(), 2u);  // the other's
        d.reading.resume();
        QCOMPARE(d.engine.reads.size(), 3u);
    }

    void readingOnWhatWasForgottenAsksForItBack() {
        Desk d;
        QSignalSpy wanted(&d.reading, &ReadingController::keepWanted);
        d.open();
        d.reading.hide(QStringLiteral("doc"));
        d.engine.endReading(0, Error{Code::Cancelled, {}, {}});
        d.reading.resume();
        QCOMPARE(wanted.count(), 1);
        QCOMPARE(d.engine.reads.size(), 1u);
    }

    void theLibraryHearsTheStateByName() {
        Desk d;
        QString name;
        connect(&d.reading, &ReadingController::documentChanged, &d.reading,
                [&name](const QString&, const QString& text) { name = text; });
        d.open();
        QCOMPARE(name, QStringLiteral("Queued to be read"));
        d.progress(0, 3);
        QCOMPARE(name, QStringLiteral("Being read · 3 of 42 pages"));
        d.reading.setAnswering(true);
        QCOMPARE(name, QStringLiteral("Paused: a question goes first · 3 of 42 pages"));
        QCOMPARE(d.reading.text(), QStringLiteral("Page 3 of 42 · a question goes first"));
        d.reading.setAnswering(false);
        d.engine.endReading(0, Error{Code::DiskFull, {}, {}});
        QCOMPARE(name, QStringLiteral("Paused: no room on the disk · 3 of 42 pages"));
        d.reading.resume();
        d.progress(1, 4);
        d.reading.open(QStringLiteral("other"));
        d.engine.endReading(1, Error{Code::Cancelled, {}, {}});
        QTRY_COMPARE(name, QStringLiteral("Queued to be read"));
        d.reading.open(QStringLiteral("doc"));
        d.reading.pause();
        QCOMPARE(name, QStringLiteral("Paused by you · 4 of 42 pages"));
    }

    void aDocumentLongerThanTheWindowSaysWhichPagesWereNotRead() {
        Desk d;
        d.open();
        d.engine.endReading(0, ScriptedEngine::summary("doc", 52, 193));
        QCOMPARE(d.reading.state(), State::Partly);
        QVERIFY(d.reading.text().contains(QStringLiteral("pages 53-193 were not used")));
    }

    void aFullDiskIsSaidAndReadingCanBeResumed() {
        Desk d;
        d.open();
        d.progress(0, 9);
        d.engine.endReading(0, Error{Code::DiskFull, "/data", "No space left on device"});
        QCOMPARE(d.reading.state(), State::Failed);
        QVERIFY(d.reading.text().contains(
            QStringLiteral("room on the disk (No space left on device). Everything read so far is kept")));
        QCOMPARE(d.reading.remedy(), remedyText(Remedy::FreeSpace));
        QCOMPARE(d.problems.count(), 0);  // it is said once, in the bar
        QSignalSpy wanted(&d.reading, &ReadingController::remedyWanted);
        d.reading.useRemedy();
        QCOMPARE(wanted.count(), 1);
        QVERIFY(d.reading.canResume());
    }

    void aReadingThatFailedIsTriedAgainByItsButton() {
        Desk d;
        d.open();
        d.engine.endReading(0, Error{Code::HelperFailed, {}, {}});
        QCOMPARE(d.reading.remedy(), remedyText(Remedy::TryAgain));
        d.reading.useRemedy();
        QCOMPARE(d.engine.reads.size(), 2u);
        QVERIFY(d.reading.remedy().isEmpty());
    }

    void aLongReadingIsForecastAndCanBePutOff() {
        Desk d;
        d.reading.modelLoaded(QStringLiteral("fingerprint"));
        d.reading.open(QStringLiteral("doc"));
        QTRY_COMPARE(d.engine.reads.size(), 1u);  // it starts all the same
        d.progress(0, 0, -1);
        QTRY_VERIFY(d.reading.forecast().contains(QStringLiteral("time not known yet")));
        QVERIFY(d.reading.hardlyBegun());
        QCOMPARE(d.reading.forecastDetails().last(), QStringLiteral("Nothing is deleted for it."));
        d.reading.pause();
        QVERIFY(d.engine.reads[0].stop.stop_requested());
        QVERIFY(!d.reading.hardlyBegun());
    }

    void aForecastTakesTheTimeThatIsToldFirst() {
        Desk d;
        d.open();
        d.progress(0, 0, -1);
        QTRY_VERIFY(d.reading.forecast().contains(QStringLiteral("time not known yet")));
        for (const double eta : {60., 30.}) {  // less than was feared: said all the same
            d.progress(0, 1, eta);
            QVERIFY(d.reading.forecast().contains(QStringLiteral("about 1 min")));
        }
    }

    void aForecastNamesWhatGoesToMakeRoomOrThatThereIsNone() {
        const auto last = [](Desk& d) {
            d.reading.nameDocumentsBy([](const QString& document) { return document.toUpper(); });
            d.reading.modelLoaded(QStringLiteral("fingerprint"));
            d.reading.open(QStringLiteral("doc"));
            [&] { QTRY_COMPARE(d.engine.reads.size(), 1u); }();
            d.progress(0, 0);
            [&] { QTRY_VERIFY(!d.reading.forecastDetails().isEmpty()); }();
            return d.reading.forecastDetails().value(d.reading.forecastDetails().size() - 1);
        };
        Desk some, none;
        some.engine.forecasted.evicted = {"lease", "will", "will"};
        QVERIFY(last(some).contains(QStringLiteral("of “LEASE”, “WILL” goes")));
        none.engine.forecasted.fits = false;
        QVERIFY(last(none).contains(QStringLiteral("not enough room")));
    }

    void aForecastUsesWhatEarlierReadingsByThisModelTook() {
        Desk d;
        d.reading.modelLoaded(QStringLiteral("fingerprint"));
        d.reading.open(QStringLiteral("doc"));
        QTRY_COMPARE(d.engine.reads.size(), 1u);
        ReadingProgress p;
        p.tokensDone = p.tokensTotal = 4200;
        p.speed = {0.01, 0};
        emit d.engine.readingProgress(d.engine.reads[0].ticket, p);
        d.engine.endReading(0, ScriptedEngine::summary("doc", 42, 42));
        QVERIFY(d.reading.forecast().isEmpty());
        d.reading.open(QStringLiteral("another"));
        QTRY_COMPARE(d.engine.reads.size(), 2u);
        QCOMPARE(d.engine.reads[1].speed.perToken, 0.01);
        d.progress(1, 0);
        QTRY_VERIFY(d.reading.forecast().contains(QStringLiteral("about 3 min")));  // 16,800 tokens

        d.reading.modelLoaded(QStringLiteral("another model"));
        QTRY_COMPARE(d.engine.reads.size(), 3u);
        QVERIFY(!d.engine.reads[2].speed.known());
        d.reading.computesOn(QStringLiteral("NVIDIA X"));
        d.reading.modelLoaded(QStringLiteral("fingerprint"));
        QTRY_COMPARE(d.engine.reads.size(), 4u);
        QVERIFY(!d.engine.reads[3].speed.known());  // the processor's says nothing of a GPU
        d.reading.computesOn({});
        d.reading.modelLoaded(QStringLiteral("fingerprint"));
        QTRY_COMPARE(d.engine.reads.size(), 5u);
        QCOMPARE(d.engine.reads[4].speed.perToken, 0.01);
    }

    void aShortReadingSaysNothingOfItself() {
        Desk d;
        d.engine.forecasted.tokens = d.engine.forecasted.tokensTotal = 700;
        d.open();
        d.progress(0, 0);
        QTest::qWait(50);
        QVERIFY(d.reading.forecast().isEmpty());
        QVERIFY(!d.reading.hardlyBegun());
    }

    void anEncryptedDocumentAsksForItsPassword() {
        Desk d;
        QSignalSpy asked(&d.reading, &ReadingController::needsPassword);
        d.open();
        d.engine.endReading(0, Error{Code::NeedsPassword, {}, {}});
        QCOMPARE(asked.count(), 1);
        QCOMPARE(d.problems.count(), 0);
    }

    void theDocumentThatIsOpenedIsReadFirstAndTheOtherGoesOnAfterwards() {
        Desk d;
        d.open(QStringLiteral("a"));
        d.progress(0, 3);
        d.reading.open(QStringLiteral("b"));
        QVERIFY(d.engine.reads[0].stop.stop_requested());
        d.engine.endReading(0, Error{Code::Cancelled, {}, {}});
        QTRY_COMPARE(d.engine.reads.size(), 2u);
        QCOMPARE(d.engine.reads[1].document, std::string("b"));
        d.engine.endReading(1, ScriptedEngine::summary("b", 42, 42));
        QCOMPARE(d.engine.reads.size(), 3u);
        QCOMPARE(d.engine.reads[2].document, std::string("a"));
    }
};

QTEST_MAIN(TestReading)
#include "tst_reading.moc"
