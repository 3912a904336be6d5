// How long the window's thread is ever away: the largest interval of a 5 ms timer. Prints one line, and proves that
// what it says was going on.
//   bench_heartbeat --document FILE [--model FILE] [--seconds 60]   while a document is being read
//   bench_heartbeat --stream [--tokens 32768] [--seconds 30]        without an engine: while 200 tokens a second are
//       written and the tier view shows as many tokens' keys and values, read all the time (24 layers, 2 KV heads)
#include "app/engine_thread.h"
#include "app/window.h"
#include "tests/support/scripted_engine.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QDir>
#include <QElapsedTimer>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTimer>

#include <QQuickItem>
#include <QQuickWindow>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

using namespace carrel;
using namespace carrel::app;

namespace {

struct Beats {
    std::vector<double> ms;  // between two
    QElapsedTimer clock;
    void beat() {
        if (clock.isValid()) ms.push_back(static_cast<double>(clock.nsecsElapsed()) * 1e-6);
        clock.start();
    }
    QString text() {
        std::ranges::sort(ms);
        return QString::asprintf("%zu beats: median %.1f ms, p99 %.1f ms, maximum %.1f ms", ms.size(),
                                 ms[ms.size() / 2], ms[ms.size() * 99 / 100], ms.back());
    }
};

/// Makes views on a thread of its own, as an engine does.
class Views {
  public:
    explicit Views(std::uint32_t tokens)
        : thread_([this, tokens](const std::stop_token& stop) {
              for (std::uint64_t step = 1; !stop.stop_requested(); step += 6) {
                  TierView view = ScriptedEngine::madeUpTiers(tokens, tokens, step);
                  {
                      const std::lock_guard lock(mutex_);
                      latest_ = std::move(view);
                  }
                  std::this_thread::sleep_for(std::chrono::milliseconds(30));
              }
          }) {}
    std::optional<TierView> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(latest_, std::nullopt);
    }

  private:
    std::mutex mutex_;
    std::optional<TierView> latest_;
    std::jthread thread_;
};

bool wait(const std::function<bool()>& until) {
    QElapsedTimer clock;
    for (clock.start(); clock.elapsed() < 10'000; QCoreApplication::processEvents(QEventLoop::AllEvents, 10))
        if (until()) return true;
    return false;
}

int stream(std::uint32_t tokens, int seconds) {
    constexpr int kTokensPerSecond = 200, kPerMessage = 33;  // ms: as the mailbox hands it out
    const QString words = QStringLiteral("The manual asks for **three** things, and says `why`.\n\n- a list\n\n");
    const QTemporaryDir data;
    ScriptedEngine engine;
    AppOptions options;
    options.model = QStringLiteral("/demo/model.gguf");
    options.settingsFile = data.filePath(QStringLiteral("window.ini"));
    Window window(engine, options);
    AppController& app = window.controller();
    app.library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Field notes.pdf"))});
    if (!wait([&] { return !engine.reads.empty() && !app.chat()->current().isEmpty(); })) return 1;
    engine.endReading(0, ScriptedEngine::summary(engine.reads[0].document, 42, 42));
    app.chat()->ask(QStringLiteral("Why?"));
    if (!wait([&] { return !engine.asks.empty(); })) return 1;
    Views views(tokens);
    if (!wait([&] { return (engine.tierView = views.take()).has_value(); })) return 1;
    QMetaObject::invokeMethod(window.window()->findChild<QObject*>(QStringLiteral("memoryPanel")), "open");
    const quint64 ticket = engine.asks[0].ticket;
    emit engine.turnStage(ticket, TurnStage::Answering);
    if (!wait([&] { return app.tiers()->isOpen(); })) return 1;

    int looks = 0, frames = 0;
    qsizetype written = 0;
    QObject::connect(app.tiers(), &TierController::changed, [&] { ++looks; });
    QObject::connect(window.window(), &QQuickWindow::afterRendering, window.window(), [&] { ++frames; });
    QElapsedTimer began;
    began.start();
    QTimer writes, beats, ends;
    QObject::connect(&writes, &QTimer::timeout, [&] {
        const qsizetype due = began.elapsed() * kTokensPerSecond * 4 / 1000;  // of four characters
        QString text;
        while (written + text.size() < due) text += words[(written + text.size()) % words.size()];
        written += text.size();
        if (!text.isEmpty()) emit engine.turnText(ticket, text);
        if (auto view = views.take()) engine.tierView = std::move(view);
    });
    Beats all;
    beats.setTimerType(Qt::PreciseTimer);
    QObject::connect(&beats, &QTimer::timeout, [&] { all.beat(); });
    ends.setSingleShot(true);
    QObject::connect(&ends, &QTimer::timeout, qApp, &QCoreApplication::quit);
    writes.start(kPerMessage);
    beats.start(5);
    ends.start(seconds * 1000);
    QApplication::exec();
    const double s = static_cast<double>(began.elapsed()) * 1e-3;
    const QString rates = QString::asprintf(
        "%.0f tokens/s written, %.1f looks/s at %zu cells, %.1f frames/s", static_cast<double>(written) / 4 / s,
        looks / s, app.tiers()->rows().size() * app.tiers()->rows()[0].leaves.size(), frames / s);
    std::printf("heartbeat, streaming: %s; %s\n", qPrintable(all.text()), qPrintable(rates));
    return written > 0 && looks > seconds ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    prepareApplication();
    QApplication qt(argc, argv);
    QCommandLineParser parser;
    parser.addOption({QStringLiteral("document"), QStringLiteral("To read."), QStringLiteral("FILE")});
    parser.addOption({QStringLiteral("model"), QStringLiteral("To read with."), QStringLiteral("FILE")});
    parser.addOption(
        {QStringLiteral("seconds"), QStringLiteral("To measure."), QStringLiteral("N"), QStringLiteral("60")});
    parser.addOption({QStringLiteral("stream"), QStringLiteral("An answer and the tier view instead.")});
    parser.addOption({QStringLiteral("tokens"), QStringLiteral("Of the document in the tier view."),
                      QStringLiteral("N"), QStringLiteral("32768")});
    parser.addHelpOption();
    parser.process(qt);
    const int seconds = parser.value(QStringLiteral("seconds")).toInt();
    if (parser.isSet(QStringLiteral("stream"))) return stream(parser.value(QStringLiteral("tokens")).toUInt(), seconds);

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

    Beats beats;
    QElapsedTimer began;
    QTimer beat;
    beat.setTimerType(Qt::PreciseTimer);
    beat.setInterval(5);
    double fractionBefore = 0;
    QObject::connect(&beat, &QTimer::timeout, &qt, [&] {
        if (reading.state() != ReadingController::Reading) return;
        if (!beats.clock.isValid()) {
            began.start();
            fractionBefore = reading.fraction();
        }
        beats.beat();
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
    if (beats.ms.size() < 100 || gained <= 0)
        return std::fprintf(stderr, "bench_heartbeat: no reading was under way (%s)\n",
                            qPrintable(window.controller().problem())),
               1;
    std::printf("heartbeat: %.0f s of reading (%.1f %% of the document), %s; closing took %.0f ms\n",
                static_cast<double>(began.elapsed()) * 1e-3, 100 * gained, qPrintable(beats.text()), closedMs);
    return 0;
}
