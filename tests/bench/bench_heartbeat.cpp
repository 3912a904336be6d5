// bench_heartbeat --document FILE [--model FILE] [--seconds 60]: how long the window's thread is ever away while a
// document is being read: the largest interval of a 5 ms timer. Prints one line; proves first that a reading was going
// on.
#include "app/engine_thread.h"
#include "app/window.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QDir>
#include <QElapsedTimer>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTimer>

#include <algorithm>
#include <cstdio>
#include <vector>

using namespace carrel;
using namespace carrel::app;

int main(int argc, char** argv) {
    prepareApplication();
    QApplication qt(argc, argv);
    QCommandLineParser parser;
    parser.addOption({QStringLiteral("document"), QStringLiteral("To read."), QStringLiteral("FILE")});
    parser.addOption({QStringLiteral("model"), QStringLiteral("To read with."), QStringLiteral("FILE")});
    parser.addOption(
        {QStringLiteral("seconds"), QStringLiteral("To measure."), QStringLiteral("N"), QStringLiteral("60")});
    parser.addHelpOption();
    parser.process(qt);
    const int seconds = parser.value(QStringLiteral("seconds")).toInt();

    const QTemporaryDir data;
    ComputeOptions compute;
    compute.dataDir = data.path().toStdString();
    compute.pdfHelper =
        QDir(QCoreApplication::applicationDirPath()).absoluteFilePath(QStringLiteral("carrel-pdf")).toStdString();
    EngineThread engine(compute);
    AppOptions options;
    options.settingsFile = data.filePath(QStringLiteral("window.ini"));
    const QString models =
        QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation) + QStringLiteral("/carrel/models");
    options.models.places = {{models.toStdString(), ModelOrigin::Carrel}};
    options.model = parser.value(QStringLiteral("model"));
    options.files = {parser.value(QStringLiteral("document"))};
    Window window(engine, options);
    ReadingController& reading = *window.controller().reading();

    std::vector<double> beats;  // ms between two
    QElapsedTimer clock, began;
    QTimer beat;
    beat.setTimerType(Qt::PreciseTimer);
    beat.setInterval(5);
    double fractionBefore = 0;
    QObject::connect(&beat, &QTimer::timeout, &qt, [&] {
        if (reading.state() != ReadingController::Reading) return;
        if (!clock.isValid()) {
            began.start();
            clock.start();
            fractionBefore = reading.fraction();
            return;
        }
        beats.push_back(static_cast<double>(clock.nsecsElapsed()) * 1e-6);
        clock.start();
        if (began.elapsed() >= seconds * 1000) QCoreApplication::quit();
    });
    QObject::connect(&reading, &ReadingController::changed, &qt, [&] {
        if (reading.state() == ReadingController::Ready || reading.state() == ReadingController::Failed)
            QCoreApplication::quit();
    });
    beat.start();
    QApplication::exec();
    const double gained = reading.fraction() - fractionBefore;
    QElapsedTimer closing;
    closing.start();
    window.controller().close();
    const double closedMs = static_cast<double>(closing.nsecsElapsed()) * 1e-6;
    if (beats.size() < 100 || gained <= 0)
        return std::fprintf(stderr, "bench_heartbeat: no reading was under way (%s)\n",
                            qPrintable(window.controller().problem())),
               1;
    std::ranges::sort(beats);
    std::printf(
        "heartbeat: %zu beats in %.0f s of reading (%.1f %% of the document): median %.1f ms, p99 %.1f ms, maximum "
        "%.1f ms; "
        "closing took %.0f ms\n",
        beats.size(), static_cast<double>(began.elapsed()) * 1e-3, 100 * gained, beats[beats.size() / 2],
        beats[beats.size() * 99 / 100], beats.back(), closedMs);
    return 0;
}
