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

std::vector<ModelPlace> modelPlaces() {
    auto places = usualModelPlaces([](const char* name) { return qEnvironmentVariable(name).toStdString(); });
    const QString downloads = QStandardPaths::writableLocation(QStandardPaths::DownloadLocation);
    places.push_back({downloads.toStdString(), ModelOrigin::Downloads});
    return places;
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
    parser.addOption(
        {QStringLiteral("threads"), QStringLiteral("For the model; 0: one per core."), QStringLiteral("N")});
    parser.addPositionalArgument(QStringLiteral("documents"), QStringLiteral("Files to open."),
                                 QStringLiteral("[FILE...]"));
    parser.process(qt);

    ComputeOptions compute;
    compute.dataDir = parser.value(QStringLiteral("data")).toStdString();
    compute.pdfHelper = pdfHelper().toStdString();
    compute.threads = parser.value(QStringLiteral("threads")).toUInt();
    AppOptions options;
    options.models.places = modelPlaces();
    if (parser.isSet(QStringLiteral("threads"))) options.models.threads = compute.threads;
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
