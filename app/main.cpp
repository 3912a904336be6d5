#include "engine_thread.h"
#include "no_network.h"
#include "window.h"

#include <carrel/cuda.h>
#include <carrel/data_folder.h>
#include <carrel/pages.h>

#include <QApplication>
#include <QCommandLineParser>
#include <QMessageBox>
#include <QStandardPaths>

#include <cstdio>

using namespace carrel;
using namespace carrel::app;

namespace {

constexpr int kReopen = 77;  // not an exit status: the window is to open anew
constexpr std::uint64_t kGb = 1'000'000'000;

/// Where the data is, or a sentence: the folder that was chosen may be on a disk that is not there.
Result<std::filesystem::path> dataFolder(const QCommandLineParser& parser) {
    if (parser.isSet(QStringLiteral("data")))
        return std::filesystem::path(parser.value(QStringLiteral("data")).toStdString());
    return openDataPlace(dataPlaceFile(), defaultDataFolder());
}

int askAgain(const Error& error) {
    const QString sentence =
        error.code == Code::NotFound
            ? QObject::tr("Carrel's data is in %1, and that is not there. Connect the disk it is on, then try again.")
            : QObject::tr(
                  "Carrel cannot tell where its data is: %1 is damaged. Delete that file to use the default folder.");
    const auto answer =
        QMessageBox::critical(nullptr, QStringLiteral("Carrel"), sentence.arg(QString::fromStdString(error.where)),
                              QMessageBox::Retry | QMessageBox::Close);
    return answer == QMessageBox::Retry ? kReopen : 1;
}

std::vector<ModelPlace> modelPlaces() {
    auto places = usualModelPlaces([](const char* name) { return qEnvironmentVariable(name).toStdString(); });
    const QString downloads = QStandardPaths::writableLocation(QStandardPaths::DownloadLocation);
    places.push_back({downloads.toStdString(), ModelOrigin::Downloads});
    return places;
}

/// One window, until it is closed. notice: what it says first, and what the next one is to say.
int showWindow(const QCommandLineParser& parser, QString& notice) {
    const auto data = dataFolder(parser);
    if (!data) return askAgain(data.error());
    const unsigned threads = parser.value(QStringLiteral("threads")).toUInt();
    AppOptions options;
    options.models.places = modelPlaces();
    if (parser.isSet(QStringLiteral("threads"))) options.models.threads = threads;
    options.model = parser.value(QStringLiteral("model"));
    options.dataFolder = QString::fromStdString(data->string());
    options.settingsFile = options.dataFolder + QStringLiteral("/window.ini");
    options.files = parser.positionalArguments();
    options.notice = notice;
    if (!parser.isSet(QStringLiteral("data")))
        options.moveData = [](const auto& from, const auto& to, const auto& progress, std::stop_token stop) {
            return moveDataFolder(dataPlaceFile(), from, to, progress, std::move(stop));
        };
    ComputeOptions compute;
    compute.dataDir = *data;
    compute.pdfHelper = pdfHelperOf(QCoreApplication::applicationFilePath().toStdString());
    compute.cudaPlugin = cudaPluginFor(QCoreApplication::applicationFilePath().toStdString());
    compute.threads = threads;
    compute.kv.deviceBytes = std::uint64_t{parser.value(QStringLiteral("device-mib")).toUInt()} << 20;
    compute.kv.hostBytes = std::uint64_t{parser.value(QStringLiteral("host-mib")).toUInt()} << 20;
    options.ownBudgets = compute.kv.deviceBytes > 0 || compute.kv.hostBytes > 0;
    compute.disk.quotaBytes = static_cast<std::uint64_t>(Settings(options.settingsFile).quotaGb()) * kGb;

    EngineThread engine(compute);
    Window window(engine, options);
    if (!window.window())
        return std::fputs("carrel: the window could not be loaded; is a QML module missing?\n", stderr), 1;
    QObject::connect(&window.controller(), &AppController::reopenWanted, [&notice](const QString& sentence) {
        notice = sentence;
        QApplication::exit(kReopen);
    });
    return QApplication::exec();
}

}  // namespace

int main(int argc, char** argv) {
    // Before anything else of Qt runs: no part of the window can talk to the internet.
    const QString refused = refuseInternet();
    prepareApplication();
    QApplication qt(argc, argv);
    QCommandLineParser parser;
    parser.setApplicationDescription(QStringLiteral("Private, offline chat with long documents."));
    parser.addHelpOption();
    parser.addVersionOption();
    parser.addOption(
        {QStringLiteral("data"), QStringLiteral("Where documents and readings are kept."), QStringLiteral("DIR")});
    parser.addOption({QStringLiteral("model"), QStringLiteral("A GGUF file to read with."), QStringLiteral("FILE")});
    parser.addOption(
        {QStringLiteral("threads"), QStringLiteral("For the model; 0: one per core."), QStringLiteral("N")});
    parser.addOption({QStringLiteral("device-mib"), QStringLiteral("Device memory of a document, for this run."),
                      QStringLiteral("N")});
    parser.addOption(
        {QStringLiteral("host-mib"), QStringLiteral("Host memory of a document, for this run."), QStringLiteral("N")});
    parser.addPositionalArgument(QStringLiteral("documents"), QStringLiteral("Files to open."),
                                 QStringLiteral("[FILE...]"));
    parser.process(qt);
    QString notice;
    if (!refused.isEmpty())
        notice = QObject::tr(
                     "The kernel could not be asked to refuse internet sockets (%1). Carrel itself never opens "
                     "one; you can go on.")
                     .arg(refused);
    int code = kReopen;
    while (code == kReopen) {
        QCoreApplication::removePostedEvents(&qt, QEvent::Quit);  // of the window that is gone
        code = showWindow(parser, notice);
    }
    return code;
}
