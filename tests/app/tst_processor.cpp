#include "app/processor_controller.h"
#include "app/report.h"
#include "tests/support/scripted_engine.h"

#include <QSignalSpy>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

// Who computes, in each state that a GPU can be in.
class TestProcessor : public QObject {
    Q_OBJECT

  private slots:
    void aGpuHasItsNameAndTheProcessorAReason_data() {
        QTest::addColumn<QString>("backend");
        QTest::addColumn<QString>("gpu");
        QTest::addColumn<QString>("why");
        QTest::addColumn<QString>("name");
        const QString cpu = QStringLiteral("cpu avx2, 4 threads"), processor = QStringLiteral("Processor");
        for (const char* why :
             {"Carrel was built or installed without its CUDA part.", "No NVIDIA driver is installed.",
              "The NVIDIA driver is too old: it offers CUDA 12.2, and Carrel needs 13.0 (driver 580 or later).",
              "An NVIDIA driver is installed, but it finds no NVIDIA GPU.",
              "The NVIDIA driver's library is the CUDA toolkit's stand-in, with no driver behind it.",
              "The GPU NVIDIA X has 0.6 GiB of free memory, and Carrel needs at least 1.0."})
            QTest::newRow(why) << cpu << QString() << QString::fromLatin1(why) << processor;
        QTest::newRow("asked for") << cpu << QString() << QString() << processor;
        QTest::newRow("a GPU") << QStringLiteral("cuda NVIDIA X") << QStringLiteral("NVIDIA X") << QString()
                               << QStringLiteral("NVIDIA X");
    }
    void aGpuHasItsNameAndTheProcessorAReason() {
        QFETCH(const QString, backend);
        QFETCH(const QString, gpu);
        QFETCH(const QString, why);
        ScriptedEngine engine;
        engine.computes = {backend.toStdString(), gpu.toStdString(), why.toStdString(), {}};
        ProcessorController processor(engine);
        QVERIFY(processor.name().isEmpty());
        QSignalSpy changed(&processor, &ProcessorController::changed);
        processor.refresh();
        QVERIFY(processor.name().isEmpty());  // nothing is claimed before the engine has said it
        QTRY_COMPARE(changed.count(), 1);
        QTEST(processor.name(), "name");
        QCOMPARE(processor.why(), why);
        QCOMPARE(processor.gpu(), gpu);
        QVERIFY(processor.report().isEmpty());

        ReportFacts facts;
        facts.processor = processor.processor();
        const QString report = reportText(facts);
        QVERIFY2(report.contains(QStringLiteral("Computes: %1\n").arg(backend)), qPrintable(report));
        QCOMPARE(report.contains(QStringLiteral("No GPU: %1\n").arg(why)), !why.isEmpty());
    }

    void aCheckThatFailedCanBePassedOn() {
        ScriptedEngine engine;
        engine.computes = {
            "cpu avx2, 4 threads", {}, "The GPU NVIDIA X is not used.", "wrong  swiglu  0, expected 1\n"};
        ProcessorController processor(engine);
        processor.refresh();
        QTRY_COMPARE(processor.report(), QStringLiteral("wrong  swiglu  0, expected 1\n"));
        QCOMPARE(processor.name(), QStringLiteral("Processor"));
    }

    void nothingIsSaidWhereTheEngineCannotSay() {
        ScriptedEngine engine;
        engine.failures["processor"] = Error{Code::Unsupported, {}, "this processor lacks it"};
        ProcessorController processor(engine);
        QSignalSpy changed(&processor, &ProcessorController::changed);
        processor.refresh();
        QTest::qWait(50);
        QCOMPARE(changed.count(), 0);
        QVERIFY(processor.name().isEmpty());
    }
};

QTEST_MAIN(TestProcessor)
#include "tst_processor.moc"
