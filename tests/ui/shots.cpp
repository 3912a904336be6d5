// carrel-shots [DIR]: drives the real window through a first walk and saves what is on screen: the pictures of the
// README.
//   --document FILE --question TEXT --model FILE   on the real engine, in a data folder of its own
//   --scripted                                     on ScriptedEngine: to look at the window, never for the README
//   --everything [--percent N] [--dark] [--size WxH]   every page, popup and dialog, on ScriptedEngine
// QT_SCALE_FACTOR says how large; QT_QUICK_BACKEND by which renderer: software or rhi (OpenGL).
#include "app/engine_thread.h"
#include "app/no_network.h"
#include "shots_everything.h"
#include "stage.h"
#include "tests/support/demo_script.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QPalette>
#include <QStandardPaths>
#include <QTemporaryDir>

using namespace carrel;
using namespace carrel::app;

namespace {

constexpr int kSettleMs = 700;

// What the pictures of the README show.
class Walk : Stage {
  public:
    Walk(Window& window, const QDir& folder) : Stage(window, folder, kSettleMs) {}

    bool run(const QString& document, const QString& question) {
        AppController& app = this->app();
        if (!shot("empty")) return false;
        app.library()->addFiles({QUrl::fromLocalFile(document)});
        if (!waitFor([&] { return app.reading()->fraction() > 0.3; }, 1800)) return fail("the reading did not begin");
        if (!shot("reading")) return false;
        if (!waitFor([&] { return app.reading()->state() == ReadingController::Ready; }, 5400))
            return fail("not read in time");
        app.chat()->ask(question);
        if (!waitFor([&] { return app.chat()->answering(); }, 10)) return fail("the question was not taken");
        if (!waitFor([&] { return !app.chat()->answering(); }, 600)) return fail("no answer in time");
        if (!shot("answer")) return false;
        QPalette dark;
        dark.setColor(QPalette::Window, QColor(0x20, 0x20, 0x20));
        dark.setColor(QPalette::WindowText, Qt::white);
        QApplication::setPalette(dark);
        if (!shot("answer-dark")) return false;
        QApplication::setPalette(QPalette());
        if (!together()) return false;
        QApplication::setPalette(dark);
        call("memoryPanel", "open");
        if (!shot("memory-dark")) return false;
        call("memoryPanel", "close");
        QApplication::setPalette(QPalette());
        app.library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/nowhere/Missing report.pdf"))});
        waitFor([&] { return !app.problem().isEmpty(); }, 5);
        return shot("problem");
    }

  private:
    /// A list of questions, and what the engine reads while it answers them.
    bool together() {
        AppController& app = this->app();
        const QStringList questions{QStringLiteral("What must a package description contain?"),
                                    QStringLiteral("When may a package modify another's configuration files?"),
                                    QStringLiteral("What is the changelog for?"),
                                    QStringLiteral("Which licences are accepted?")};
        call("questionsDialog", "open");
        if (QQuickItem* text = named("questions")) text->setProperty("text", questions.join(QLatin1Char('\n')));
        if (!shot("questions")) return false;
        call("questionsDialog", "send");
        if (!waitFor([&] { return app.chat()->listTotal() == questions.size(); }, 10))
            return fail("the questions were not taken");
        if (!waitFor([&] { return app.chat()->conversation()->rowCount() > 2 * questions.size() + 4; }, 600))
            return fail("no answer began in time");
        if (!shot("together")) return false;
        call("memoryPanel", "open");
        if (!waitFor([&] { return app.tiers()->isOpen(); }, 30)) return fail("the tiers were not heard of");
        wait(1500);  // rates want two polls
        if (!shot("memory")) return false;
        call("memoryPanel", "close");
        if (!waitFor([&] { return !app.chat()->answering(); }, 1800)) return fail("not all was answered in time");
        return shot("together-answered");
    }
};

}  // namespace

int main(int argc, char** argv) {
    refuseInternet();
    prepareApplication();
    QApplication qt(argc, argv);
    QCommandLineParser parser;
    parser.addHelpOption();
    parser.addOption({QStringLiteral("scripted"), QStringLiteral("No engine.")});
    parser.addOption({QStringLiteral("document"), QStringLiteral("To read."), QStringLiteral("FILE")});
    parser.addOption({QStringLiteral("question"), QStringLiteral("To ask."), QStringLiteral("TEXT"),
                      QStringLiteral("How long may the synopsis line of a package description be?")});
    parser.addOption({QStringLiteral("model"), QStringLiteral("To read with."), QStringLiteral("FILE")});
    parser.addOption({QStringLiteral("everything"), QStringLiteral("Every page, popup and dialog; no engine.")});
    parser.addOption(
        {QStringLiteral("percent"), QStringLiteral("Size of text."), QStringLiteral("N"), QStringLiteral("100")});
    parser.addOption({QStringLiteral("dark"), QStringLiteral("In dark colours.")});
    parser.addOption({QStringLiteral("size"), QStringLiteral("Of the window."), QStringLiteral("WxH")});
    parser.addPositionalArgument(QStringLiteral("folder"), QStringLiteral("Where pictures go."));
    parser.process(qt);
    const bool all = parser.isSet(QStringLiteral("everything"));
    if (!parser.isSet(QStringLiteral("document")) && !parser.isSet(QStringLiteral("scripted")) && !all)
        return std::fputs("carrel-shots: name a document to read with --document FILE.\n", stderr), 2;
    QDir folder(parser.positionalArguments().value(0, QStringLiteral("build/shots")));
    folder.mkpath(QStringLiteral("."));
    if (all) {
        const QStringList size = parser.value(QStringLiteral("size")).split(QLatin1Char('x'));
        const Looks looks{folder, parser.value(QStringLiteral("percent")).toInt(), parser.isSet(QStringLiteral("dark")),
                          QSize(size.value(0).toInt(), size.value(1).toInt())};
        return everything(looks) ? 0 : 1;
    }

    const QTemporaryDir data;
    AppOptions options;
    options.settingsFile = data.filePath(QStringLiteral("window.ini"));
    const QString models =
        QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation) + QStringLiteral("/carrel/models");
    options.models.places = {{models.toStdString(), ModelOrigin::Carrel}};
    options.model = parser.value(QStringLiteral("model"));
    std::unique_ptr<EnginePort> engine;
    QString document = parser.value(QStringLiteral("document"));
    if (parser.isSet(QStringLiteral("scripted"))) {
        engine = demoEngine();
        options.model = QStringLiteral("/demo/Qwen2.5 Coder 0.5B Instruct.gguf");
        document = QStringLiteral("/demo/Field notes.pdf");
    } else {
        ComputeOptions compute;
        compute.dataDir = data.path().toStdString();
        compute.pdfHelper =
            QDir(QCoreApplication::applicationDirPath()).absoluteFilePath(QStringLiteral("carrel-pdf")).toStdString();
        engine = std::make_unique<EngineThread>(compute);
    }
    Window window(*engine, options);
    if (!window.window()) return 1;
    return Walk(window, folder)
                   .run(QDir::current().absoluteFilePath(document), parser.value(QStringLiteral("question")))
               ? 0
               : 1;
}
