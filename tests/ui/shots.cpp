// carrel-shots [DIR]: drives the real window through a first walk and saves what is on screen: the pictures of the
// README.
//   --document FILE --question TEXT --model FILE   on the real engine, in a data folder of its own
//   --scripted                                     on ScriptedEngine: to look at the window, never for the README
//   --everything [--percent N] [--dark]            every page and dialog, on ScriptedEngine
// QT_SCALE_FACTOR and QT_QUICK_BACKEND say how large and by which renderer.
#include "app/engine_thread.h"
#include "app/no_network.h"
#include "app/window.h"
#include "tests/support/demo_script.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QDeadlineTimer>
#include <QDir>
#include <QPalette>
#include <QQuickItem>
#include <QQuickWindow>
#include <QStandardPaths>
#include <QTemporaryDir>

#include <cstdio>

using namespace carrel;
using namespace carrel::app;

namespace {

constexpr int kSettleMs = 700;  // page images and short animations

bool waitFor(const std::function<bool()>& done, int seconds) {
    QDeadlineTimer deadline(seconds * 1000);
    while (!done() && !deadline.hasExpired()) QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents, 20);
    return done();
}

void wait(int ms) {
    QDeadlineTimer deadline(ms);
    while (!deadline.hasExpired()) QCoreApplication::processEvents(QEventLoop::AllEvents, 20);
}

class Walk {
  public:
    Walk(Window& window, const QDir& folder) : window_(window), folder_(folder) {}

    bool shot(const char* name) {
        wait(kSettleMs);
        const QString file = folder_.filePath(QString::fromLatin1(name) + QStringLiteral(".png"));
        if (!window_.window()->grabWindow().save(file))
            return std::fprintf(stderr, "%s was not saved\n", qPrintable(file)), false;
        return std::printf("%s\n", qPrintable(file)), true;
    }

    bool run(const QString& document, const QString& question) {
        AppController& app = window_.controller();
        if (!shot("empty")) return false;
        app.library()->addFiles({QUrl::fromLocalFile(document)});
        if (!waitFor([&] { return app.reading()->fraction() > 0.3; }, 600)) return fail("the reading did not begin");
        if (!shot("reading")) return false;
        if (!waitFor([&] { return app.reading()->state() == ReadingController::Ready; }, 1800))
            return fail("not read in time");
        app.chat()->ask(question);
        if (!waitFor([&] { return app.chat()->answering(); }, 10)) return fail("the question was not taken");
        if (!waitFor([&] { return !app.chat()->answering(); }, 600)) return fail("no answer in time");
        if (!shot("answer") || !together()) return false;
        QPalette dark;
        dark.setColor(QPalette::Window, QColor(0x20, 0x20, 0x20));
        dark.setColor(QPalette::WindowText, Qt::white);
        QApplication::setPalette(dark);
        if (!shot("answer-dark")) return false;
        call("memoryPanel", "open");
        if (!shot("memory-dark")) return false;
        call("memoryPanel", "close");
        QApplication::setPalette(QPalette());
        app.library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/nowhere/Missing report.pdf"))});
        waitFor([&] { return !app.problem().isEmpty(); }, 5);
        return shot("problem");
    }

    /// Every page and dialog, as they come while a person works.
    bool everything(ScriptedEngine& engine) {
        AppController& app = window_.controller();
        if (!shot("empty")) return false;
        app.library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/demo/Field notes.pdf"))});
        if (!waitFor([&] { return !app.reading()->forecast().isEmpty(); }, 20)) return fail("no forecast");
        QMetaObject::invokeMethod(named("forecastOpen"), "clicked");
        if (!shot("forecast")) return false;
        QMetaObject::invokeMethod(named("forecastOpen"), "clicked");
        app.chat()->ask(QStringLiteral("What must a package have?"));
        if (!waitFor([&] { return app.chat()->answering(); }, 10)) return fail("the question was not taken");
        if (!shot("waiting")) return false;
        if (!waitFor([&] { return !app.chat()->answering(); }, 60)) return fail("no answer");
        if (!shot("answered")) return false;
        QMetaObject::invokeMethod(named("pages")->parentItem()->parentItem(), "find");
        app.pages()->find(QStringLiteral("word"), 0);
        if (!shot("find")) return false;
        for (const char* dialog : {"memoryPanel", "settingsDialog", "keysDialog", "questionsDialog", "chatMenu"}) {
            call(dialog, "open");
            if (!shot(dialog)) return false;
            call(dialog, "close");
        }
        app.library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/demo/enc tax return.pdf"))});
        if (!waitFor([&] { return !app.library()->passwordFor().isEmpty(); }, 10)) return fail("no password asked for");
        if (!shot("password")) return false;
        app.library()->cancelPassword();
        return failures(engine);
    }

  private:
    bool failures(ScriptedEngine& engine) {
        AppController& app = window_.controller();
        engine.failures["add"] = Error{Code::Io, "/demo/Broken.pdf", "input/output error"};
        app.library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/demo/Broken.pdf"))});
        if (!waitFor([&] { return !app.problem().isEmpty(); }, 10)) return fail("nothing failed");
        if (!shot("problem")) return false;
        app.dismissProblem();
        engine.failures.clear();
        app.library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/demo/Another.pdf"))});
        if (!waitFor([&] { return app.reading()->fraction() > 0; }, 20)) return fail("the reading did not begin");
        engine.endReading(engine.reads.size() - 1, Error{Code::DiskFull, {}, {}});
        app.chat()->ask(QStringLiteral("Will this fail?"));
        if (!waitFor([&] { return app.chat()->answering() && !engine.asks.empty(); }, 10)) return fail("not asked");
        wait(100);
        emit engine.turnFailed(engine.asks.back().ticket, Error{Code::NoMemory, {}, "needs 900 MiB, 300 are free"});
        return shot("failed");
    }

    QQuickItem* named(const char* name) { return window_.window()->findChild<QQuickItem*>(QString::fromLatin1(name)); }
    void call(const char* object, const char* method) {
        auto* found = window_.window()->findChild<QObject*>(QString::fromLatin1(object));
        if (!found || !QMetaObject::invokeMethod(found, method)) std::fprintf(stderr, "no %s.%s\n", object, method);
    }

    /// A list of questions, and what the engine reads while it answers them.
    bool together() {
        AppController& app = window_.controller();
        const QStringList questions{QStringLiteral("What must a package description contain?"),
                                    QStringLiteral("When may a package modify another's configuration files?"),
                                    QStringLiteral("What is the changelog for?"),
                                    QStringLiteral("Which licences are accepted?")};
        call("questionsDialog", "open");
        auto* text = window_.window()->findChild<QQuickItem*>(QStringLiteral("questions"));
        if (text) text->setProperty("text", questions.join(QLatin1Char('\n')));
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

    bool fail(const char* why) {
        std::fprintf(stderr, "shots: %s (%s)\n", why, qPrintable(window_.controller().problem()));
        return false;
    }

    Window& window_;
    QDir folder_;
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
    parser.addOption({QStringLiteral("everything"), QStringLiteral("Every page and dialog; no engine.")});
    parser.addOption(
        {QStringLiteral("percent"), QStringLiteral("Size of text."), QStringLiteral("N"), QStringLiteral("100")});
    parser.addOption({QStringLiteral("dark"), QStringLiteral("In dark colours.")});
    parser.addPositionalArgument(QStringLiteral("folder"), QStringLiteral("Where pictures go."));
    parser.process(qt);
    const bool everything = parser.isSet(QStringLiteral("everything"));
    if (!parser.isSet(QStringLiteral("document")) && !parser.isSet(QStringLiteral("scripted")) && !everything)
        return std::fputs("carrel-shots: name a document to read with --document FILE.\n", stderr), 2;
    QDir folder(parser.positionalArguments().value(0, QStringLiteral("build/shots")));
    folder.mkpath(QStringLiteral("."));

    const QTemporaryDir data;
    AppOptions options;
    options.settingsFile = data.filePath(QStringLiteral("window.ini"));
    const QString models =
        QStandardPaths::writableLocation(QStandardPaths::GenericDataLocation) + QStringLiteral("/carrel/models");
    options.models.places = {{models.toStdString(), ModelOrigin::Carrel}};
    options.model = parser.value(QStringLiteral("model"));
    std::unique_ptr<EnginePort> engine;
    QString document = parser.value(QStringLiteral("document"));
    ScriptedEngine* scripted = nullptr;
    if (everything || parser.isSet(QStringLiteral("scripted"))) {
        auto demo = demoEngine();
        scripted = demo.get();
        engine = std::move(demo);
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
    window.controller().look()->setTextPercent(parser.value(QStringLiteral("percent")).toInt());
    if (parser.isSet(QStringLiteral("dark"))) window.controller().look()->setShade(Look::Dark);
    if (everything) return Walk(window, folder).everything(*scripted) ? 0 : 1;
    return Walk(window, folder)
                   .run(QDir::current().absoluteFilePath(document), parser.value(QStringLiteral("question")))
               ? 0
               : 1;
}
