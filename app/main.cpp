#include "engine_thread.h"
#include "no_network.h"
#include "window.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QDir>
#include <QStandardPaths>

#include <cstdio>

using namespace carrel;
using namespace carrel::app;

namespace {

QString pdfHelper() {
    const QDir here(QCoreApplication::applicationDirPath());
    for (const char* place : {"carrel-pdf", "../libexec/carrel/carrel-pdf", "../lib/carrel/carrel-pdf"})
        if (here.exists(QString::fromLatin1(place))) return here.absoluteFilePath(QString::fromLatin1(place));
    return here.absoluteFilePath(QStringLiteral("carrel-pdf"));  // its absence is reported by name
}

}  // namespace

int main(int argc, char** argv) {
    // Before anything else of Qt runs: no part of the window can talk to the internet.
    const QString refused = refuseInternet();
    prepareApplication();
    QApplication qt(argc, argv);
    const QString data =
        QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation) + QStringLiteral("/carrel");
    QCommandLineParser parser;
    parser.setApplicationDescription(QStringLiteral("Private, offline chat with long documents."));
    parser.addHelpOption();
    parser.addVersionOption();
    parser.addOption({QStringLiteral("data"), QStringLiteral("Where documents and readings are kept."),
                      QStringLiteral("DIR"), data});
    parser.addOption({QStringLiteral("model"), QStringLiteral("A GGUF file to read with."), QStringLiteral("FILE")});
    parser.addOption({QStringLiteral("threads"), QStringLiteral("For the model; 0: one per core."), QStringLiteral("N"),
                      QStringLiteral("0")});
    parser.addOption({QStringLiteral("device-mib"), QStringLiteral("Device memory of a document, for this run."),
                      QStringLiteral("N")});
    parser.addOption(
        {QStringLiteral("host-mib"), QStringLiteral("Host memory of a document, for this run."), QStringLiteral("N")});
    parser.addPositionalArgument(QStringLiteral("documents"), QStringLiteral("Files to open."),
                                 QStringLiteral("[FILE...]"));
    parser.process(qt);

    ComputeOptions compute;
    compute.dataDir = parser.value(QStringLiteral("data")).toStdString();
    compute.pdfHelper = pdfHelper().toStdString();
    compute.threads = parser.value(QStringLiteral("threads")).toUInt();
    compute.kv.deviceBytes = std::uint64_t{parser.value(QStringLiteral("device-mib")).toUInt()} << 20;
    compute.kv.hostBytes = std::uint64_t{parser.value(QStringLiteral("host-mib")).toUInt()} << 20;
    AppOptions options;
    options.ownBudgets = compute.kv.deviceBytes > 0 || compute.kv.hostBytes > 0;
    options.modelsFolder = data + QStringLiteral("/models");
    options.model = parser.value(QStringLiteral("model"));
    options.settingsFile = parser.value(QStringLiteral("data")) + QStringLiteral("/window.ini");
    options.files = parser.positionalArguments();

    EngineThread engine(compute);
    Window window(engine, options);
    if (!window.window())
        return std::fputs("carrel: the window could not be loaded; is a QML module missing?\n", stderr), 1;
    if (!refused.isEmpty())
        window.controller().showProblem(QObject::tr("The kernel could not be asked to refuse internet sockets (%1). "
                                                    "Carrel itself never opens one; you can go on.")
                                            .arg(refused));
    return QApplication::exec();
}
