#include "app/data_mover.h"

#include <QDir>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

class TestMove : public QObject {
    Q_OBJECT

    /// A move that goes on until it is stopped or let go.
    struct Desk {
        QTemporaryDir folder;
        std::string from, to;
        std::atomic<bool> letGo = false, atWork = false;
        Status result;
        DataMover mover{
            QStringLiteral("/old"),
            [this](const std::string& a, const std::string& b, const auto& progress, std::stop_token stop) -> Status {
                from = a;
                to = b;
                progress(30, 100);
                atWork = true;
                while (!letGo && !stop.stop_requested()) QThread::msleep(1);
                if (stop.stop_requested()) return Error{Code::Cancelled, {}, "stopped"};
                return result;
            }};
        QSignalSpy about{&mover, &DataMover::aboutToMove}, ended{&mover, &DataMover::ended},
            problems{&mover, &DataMover::problem};
        QString said() const { return ended.value(0).value(0).toString(); }
    };

  private slots:
    void anEmptyFolderIsTakenItselfAndAFullOneHoldsANewOne() {
        Desk d;
        d.mover.choose(d.folder.path());
        QCOMPARE(d.mover.target(), d.folder.path());
        QVERIFY(QDir(d.folder.path()).mkdir(QStringLiteral("else")));
        d.mover.choose(d.folder.path());
        QCOMPARE(d.mover.target(), d.folder.filePath(QStringLiteral("Carrel")));
        QVERIFY(QDir(d.folder.path()).mkpath(QStringLiteral("Carrel/full")));
        d.mover.cancel();
        QVERIFY(d.mover.target().isEmpty());
        d.mover.choose(d.folder.path());
        QVERIFY(d.mover.target().isEmpty());
        QCOMPARE(d.problems.count(), 1);
    }

    void everythingEndsBeforeTheMoveAndTheWindowOpensAnewAfterIt() {
        Desk d;
        d.mover.choose(d.folder.path());
        d.mover.start();
        QCOMPARE(d.about.count(), 1);
        QVERIFY(d.mover.moving());
        QTRY_COMPARE(d.mover.fraction(), 0.3);
        QCOMPARE(d.ended.count(), 0);
        d.letGo = true;
        QTRY_COMPARE(d.ended.count(), 1);
        QCOMPARE(d.from, std::string("/old"));
        QCOMPARE(d.to, d.folder.path().toStdString());
        QVERIFY2(d.said().contains(d.folder.path()), qPrintable(d.said()));
    }

    void aMoveThatFailsOrIsStoppedSaysWhereTheDataIs() {
        for (const bool stopped : {false, true}) {
            Desk d;
            d.result = Error{Code::DiskFull, {}, "it needs 9 MiB, and 3 MiB are free"};
            d.mover.choose(d.folder.path());
            d.mover.start();
            QTRY_VERIFY(d.atWork);
            stopped ? d.mover.cancel() : void(d.letGo = true);
            QTRY_COMPARE(d.ended.count(), 1);
            QVERIFY2(d.said().contains(QStringLiteral("/old")), qPrintable(d.said()));
            QVERIFY(stopped || d.said().contains(QStringLiteral("9 MiB")));
        }
    }

    void aWindowThatClosesStopsTheMoveAndWaitsForItsEnd() {
        std::atomic<bool> ended = false;
        QTemporaryDir folder;
        {
            DataMover mover(QStringLiteral("/old"),
                            [&ended](const auto&, const auto&, const auto&, std::stop_token stop) -> Status {
                                while (!stop.stop_requested()) QThread::msleep(1);
                                ended = true;
                                return Error{Code::Cancelled, {}, {}};
                            });
            mover.choose(folder.path());
            mover.start();
        }
        QVERIFY(ended);
    }

    void aFolderThatWasGivenStays() {
        DataMover mover(QStringLiteral("/given"), {});
        QVERIFY(!mover.movable());
        QTemporaryDir folder;
        mover.choose(folder.path());
        mover.start();
        QVERIFY(!mover.moving());
    }
};

QTEST_MAIN(TestMove)
#include "tst_move.moc"
