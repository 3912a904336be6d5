// bench_pages --document FILE.pdf [--seconds 20] [--stops 60]: a long PDF in the real window, without a model. Prints
// how long the window's thread is ever away while pages are scrolled (the largest interval of a 5 ms timer), how long
// after scrolling stops every page in view is sharp, and how long words take to be found. Proves first that pages were
// drawn and words found.
#include "app/engine_thread.h"
#include "app/window.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QDeadlineTimer>
#include <QDir>
#include <QElapsedTimer>
#include <QQuickItem>
#include <QQuickWindow>
#include <QRandomGenerator>
#include <QTemporaryDir>
#include <QTimer>

#include <algorithm>
#include <cstdio>
#include <vector>

using namespace carrel;
using namespace carrel::app;

namespace {

constexpr double kPixelsPerSecond = 2500;  // a page in view passes in a third of a second
constexpr int kFrameMs = 16;

double ms(const QElapsedTimer& clock) {
    return static_cast<double>(clock.nsecsElapsed()) * 1e-6;
}

double quantile(std::vector<double> values, double q) {
    std::ranges::sort(values);
    return values.at(std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size()))));
}

bool waitFor(const std::function<bool()>& done, int seconds) {
    QDeadlineTimer deadline(seconds * 1000);
    while (!done() && !deadline.hasExpired()) QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents, 5);
    return done();
}

class Bench {
  public:
    explicit Bench(Window& window) : window_(window), pages_(*window.controller().pages()) {
        beat_.setTimerType(Qt::PreciseTimer);
        beat_.setInterval(5);
        QObject::connect(&beat_, &QTimer::timeout, [this] {
            beats_.push_back(ms(clock_));
            clock_.start();
        });
    }

    bool open(const QString& document) {
        window_.controller().library()->addFiles({QUrl::fromLocalFile(document)});
        list_ = window_.window()->findChild<QQuickItem*>(QStringLiteral("pages"));
        return list_ && waitFor([this] { return list_->property("count").toInt() > 0 && sharp(); }, 900);
    }

    void scroll(int seconds) {
        beats_.clear();
        beat_.start();
        clock_.start();
        go(seconds * 1000, 1);
        go(seconds * 500, -2);  // back over pages seen before
        beat_.stop();
        std::printf(
            "scrolling, %.0f s at %.0f px/s, half of it back: heartbeat median %.1f ms, p99 %.1f ms, maximum %.1f ms\n",
            seconds * 1.5, kPixelsPerSecond, quantile(beats_, 0.5), quantile(beats_, 0.99), quantile(beats_, 1));
    }

    bool stop(int times) {
        std::vector<double> sharpAfter;
        for (int i = 0; i < times; ++i) {
            const double whole = list_->property("contentHeight").toDouble() - list_->height();
            // A fling over pages never seen, or, every other time, a scroll bar let go somewhere.
            const bool fling = i % 2 == 0;
            list_->setProperty("contentY", QRandomGenerator::global()->generateDouble() * whole);
            if (fling) go(400, 4);
            QElapsedTimer since;
            since.start();
            if (!waitFor([this] { return sharp(); }, 30)) return false;
            sharpAfter.push_back(ms(since));
        }
        std::printf(
            "a sharp page after scrolling stops, %d times (every other one a jump): median %.0f ms, p95 %.0f ms, "
            "maximum %.0f ms\n",
            times, quantile(sharpAfter, 0.5), quantile(sharpAfter, 0.95), quantile(sharpAfter, 1));
        return true;
    }

    bool find() {
        const auto once = [this](const char* words) {
            QElapsedTimer since;
            since.start();
            bool heard = false;
            const auto link = QObject::connect(&pages_, &PagesController::found, [&] { heard = pages_.hits() >= 0; });
            pages_.find(QString::fromLatin1(words), 0);
            (void)waitFor([&] { return heard; }, 60);
            QObject::disconnect(link);
            return ms(since);
        };
        const double first = once("variance");
        if (pages_.hits() <= 0) return false;
        std::vector<double> later;
        std::string counts;
        for (const char* words : {"e", "the", "function", "an object of class", "eigenvalue", "zzzz", "linear model"}) {
            later.push_back(once(words));
            counts += std::string(counts.empty() ? "" : ", ") + words + " " + std::to_string(pages_.hits());
        }
        std::printf("finding: first %.0f ms, later median %.0f ms, maximum %.0f ms (%s)\n", first, quantile(later, 0.5),
                    quantile(later, 1), counts.c_str());
        return true;
    }

    int pages() const { return list_->property("count").toInt(); }

  private:
    /// Scrolls as a wheel does: a step a frame.
    void go(int forMs, double speed) {
        QElapsedTimer began;
        QTimer frame;
        frame.setTimerType(Qt::PreciseTimer);
        frame.setInterval(kFrameMs);
        QElapsedTimer last;
        last.start();
        QObject::connect(&frame, &QTimer::timeout, [&] {
            const double step = kPixelsPerSecond * speed * ms(last) / 1000;
            last.start();
            const double end = list_->property("contentHeight").toDouble() - list_->height();
            list_->setProperty("contentY", std::clamp(list_->property("contentY").toDouble() + step, 0., end));
        });
        frame.start();
        began.start();
        while (began.elapsed() < forMs) QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents, 5);
    }

    /// Every page in view shows its image of the right size.
    bool sharp() {
        bool any = false;
        for (QQuickItem* page : list_->property("contentItem").value<QQuickItem*>()->childItems()) {
            auto* image = page->findChild<QQuickItem*>(QStringLiteral("sharp"));
            const double top = page->y() - list_->property("contentY").toDouble();
            if (!image || top > list_->height() || top + page->height() < 0) continue;
            any = true;
            if (image->property("status").toInt() != 1) return false;
        }
        return any;
    }

    Window& window_;
    PagesController& pages_;
    QQuickItem* list_ = nullptr;
    QTimer beat_;
    QElapsedTimer clock_;
    std::vector<double> beats_;
};

}  // namespace

int main(int argc, char** argv) {
    prepareApplication();
    QApplication qt(argc, argv);
    QCommandLineParser parser;
    parser.addOption({QStringLiteral("document"), QStringLiteral("To scroll."), QStringLiteral("FILE")});
    parser.addOption(
        {QStringLiteral("seconds"), QStringLiteral("Forward."), QStringLiteral("N"), QStringLiteral("20")});
    parser.addOption(
        {QStringLiteral("stops"), QStringLiteral("To wait for."), QStringLiteral("N"), QStringLiteral("60")});
    parser.addHelpOption();
    parser.process(qt);

    const QTemporaryDir data;
    ComputeOptions compute;
    compute.dataDir = data.path().toStdString();
    compute.pdfHelper =
        QDir(QCoreApplication::applicationDirPath()).absoluteFilePath(QStringLiteral("carrel-pdf")).toStdString();
    EngineThread engine(compute);
    AppOptions options;
    options.settingsFile = data.filePath(QStringLiteral("window.ini"));
    options.models = {};  // pages need none
    Window window(engine, options);
    if (!window.window()) return 1;
    window.window()->resize(1400, 900);
    Bench bench(window);
    if (!bench.open(QDir::current().absoluteFilePath(parser.value(QStringLiteral("document")))))
        return std::fprintf(stderr, "bench_pages: no page was drawn (%s)\n", qPrintable(window.controller().problem())),
               1;
    std::printf("%d pages\n", bench.pages());
    bench.scroll(parser.value(QStringLiteral("seconds")).toInt());
    if (!bench.stop(parser.value(QStringLiteral("stops")).toInt()))
        return std::fprintf(stderr, "bench_pages: a page was not drawn in time\n"), 1;
    if (!bench.find()) return std::fprintf(stderr, "bench_pages: nothing was found\n"), 1;
    return 0;
}
