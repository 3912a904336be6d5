// bench_first_frame [--data DIR] [--model FILE] [--starts 11]: from the start of the process to the first frame of the
// window that is shown, on the real engine and the library in DIR. Each start is a process of its own, one after the
// other; the first, cold one is printed apart.
#include "app/engine_thread.h"
#include "app/window.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QDir>
#include <QProcess>
#include <QQuickWindow>
#include <QTemporaryDir>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

using namespace carrel;
using namespace carrel::app;

namespace {

qint64 nowNs() {  // the same in every process
    return std::chrono::steady_clock::now().time_since_epoch().count();
}

int child(QApplication& qt, const ComputeOptions& compute, const AppOptions& options, qint64 startedNs) {
    EngineThread engine(compute);
    Window window(engine, options);
    if (!window.window()) return 1;
    QObject::connect(
        window.window(), &QQuickWindow::frameSwapped, &qt,
        [&] {
            std::printf("%.1f\n", static_cast<double>(nowNs() - startedNs) * 1e-6);
            QCoreApplication::quit();
        },
        static_cast<Qt::ConnectionType>(Qt::QueuedConnection | Qt::SingleShotConnection));
    return QApplication::exec();
}

}  // namespace

int main(int argc, char** argv) {
    prepareApplication();
    QApplication qt(argc, argv);
    QCommandLineParser parser;
    parser.addHelpOption();
    for (const char* option : {"data", "model", "starts", "started"})
        parser.addOption({QString::fromLatin1(option), {}, QString::fromLatin1(option)});
    parser.process(qt);
    const QTemporaryDir nothing;
    const QString data = parser.isSet(QStringLiteral("data")) ? parser.value(QStringLiteral("data")) : nothing.path();
    if (parser.isSet(QStringLiteral("started"))) {
        ComputeOptions compute;
        compute.dataDir = data.toStdString();
        compute.pdfHelper =
            QDir(QCoreApplication::applicationDirPath()).absoluteFilePath(QStringLiteral("carrel-pdf")).toStdString();
        AppOptions options;
        options.settingsFile = data + QStringLiteral("/window.ini");
        options.model = parser.value(QStringLiteral("model"));
        return child(qt, compute, options, parser.value(QStringLiteral("started")).toLongLong());
    }
    const int starts = parser.isSet(QStringLiteral("starts")) ? parser.value(QStringLiteral("starts")).toInt() : 11;
    std::vector<double> warm;
    for (int i = 0; i <= starts; ++i) {
        QProcess window;
        window.setProcessChannelMode(QProcess::ForwardedErrorChannel);
        window.start(QCoreApplication::applicationFilePath(),
                     {QStringLiteral("--data"), data, QStringLiteral("--model"), parser.value(QStringLiteral("model")),
                      QStringLiteral("--started"), QString::number(nowNs())});
        if (!window.waitForFinished(60000) || window.exitCode() != 0)
            return std::fprintf(stderr, "bench_first_frame: a start failed\n"), 1;
        const double ms = window.readAllStandardOutput().trimmed().toDouble();
        if (i == 0)
            std::printf("first start: %.0f ms\n", ms);
        else
            warm.push_back(ms);
    }
    std::ranges::sort(warm);
    std::printf("first frame, %d warm starts: median %.0f ms, maximum %.0f ms (%s, %s)\n", starts,
                warm[warm.size() / 2], warm.back(), qPrintable(QGuiApplication::platformName()),
                qgetenv("QT_QUICK_BACKEND").constData());
    return 0;
}
