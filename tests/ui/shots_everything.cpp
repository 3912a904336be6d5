#include "shots_everything.h"

#include "stage.h"
#include "tests/support/demo_script.h"

#include <QTemporaryDir>

namespace carrel::app {
namespace {

constexpr int kSettleMs = 450, kPatienceS = 120;  // on a busy machine, too

// One window on an engine of its own, with the looks that were asked for.
class Scene {
  public:
    enum class Has { Everything, NoDocument, NoModel };
    Scene(const Looks& looks, const char* model, Has has = Has::Everything) : engine_(demoEngine()) {
        AppOptions options;
        options.settingsFile = data_.filePath(QStringLiteral("window.ini"));
        options.dataFolder = QStringLiteral("/home/me/.local/share/carrel");
        options.model = QString::fromLatin1(model);
        options.undoTime = std::chrono::seconds(60);
        options.moveData = [](const std::string&, const std::string&, const auto& progress,
                              const std::stop_token& stop) {
            progress(40, 100);
            while (!stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
            return Status(Error{Code::Cancelled, {}, {}});
        };
        fill();
        if (has == Has::NoDocument) engine_->rows.clear();
        if (has == Has::NoModel) engine_->models.models.clear();
        window_ = std::make_unique<Window>(*engine_, options);
        stage_ = std::make_unique<Stage>(*window_, looks.folder, kSettleMs);
        app().look()->setTextPercent(looks.percent);
        app().look()->setShade(looks.dark ? Look::Dark : Look::Light);
        if (!looks.size.isEmpty()) stage_->win()->resize(looks.size);
        stage_->win()->requestActivate();
        (void)Stage::waitFor([this] { return stage_->win()->isActive(); }, 5);
    }

    ScriptedEngine& engine() { return *engine_; }
    Stage& stage() { return *stage_; }
    AppController& app() { return window_->controller(); }

    bool open(const char* file) {
        app().library()->addFiles({QUrl::fromLocalFile(QString::fromLatin1(file))});
        return Stage::waitFor(
            [&] { return !app().chat()->current().isEmpty() && app().pages()->pages()->rowCount() > 0; }, kPatienceS);
    }
    bool ask(const char* question) {
        app().chat()->ask(QString::fromLatin1(question));
        return Stage::waitFor([&] { return app().chat()->answering(); }, kPatienceS);
    }
    bool answered() {
        return Stage::waitFor([&] { return !app().chat()->answering(); }, kPatienceS);
    }

  private:
    void fill() {
        for (DocumentRow& row : engine_->rows) {
            row.addedAt = row.openedAt = 1'780'000'000;
            row.diskBytes = 1'400'000;
        }
        const auto policy = engine_->rows[1].sha256;
        engine_->outlineEntries = {{"1. About this manual", 0, {1, 0, 0}},
                                   {"1.1 Scope", 1, {1, 300, 0}},
                                   {"1.2 New versions of this document, and how they are announced", 1, {2, 0, 0}},
                                   {"2. The archive", 0, {5, 0, 0}},
                                   {"2.1 Sections", 1, {7, 0, 0}},
                                   {"2.1.1 Packages that are in none of them", 2, {9, 0, 0}}};
        engine_->hits = {{policy,
                          "p. 9",
                          "a word of it",
                          "the first \2word\3 of a line that is as long as they are",
                          9,
                          {9000, 12},
                          2},
                         {engine_->rows[0].sha256, "Notes", "one word", "one more \2word\3", 0, {8, 13}, 1}};
        engine_->pageLinks[1] = {{{72, 60, 300, 20}, {}, "https://example.org/a/long/address/of/a/manual"}};
        const Coverage half = ScriptedEngine::summary(policy, 20, 42).coverage;
        engine_->stored = {{policy, "scripted", true, 16'800, 206'000'000, half, false, 1'780'000'000}};
    }

    QTemporaryDir data_;
    std::unique_ptr<ScriptedEngine> engine_;
    std::unique_ptr<Window> window_;
    std::unique_ptr<Stage> stage_;
};

constexpr const char* kModel = "/home/me/Downloads/Qwen2.5 Coder 0.5B Instruct.gguf";

bool withoutAModel(const Looks& looks) {
    {
        Scene scene(looks, "", Scene::Has::NoDocument);
        if (!scene.stage().shot("first-start") || !scene.open("/demo/Field notes.pdf")) return false;
        if (!scene.stage().shot("no-model")) return false;
    }
    Scene scene(looks, "", Scene::Has::NoModel);
    return scene.open("/demo/Field notes.pdf") && scene.stage().shot("no-model-found");
}

bool aQuestion(const Looks& looks) {
    Scene scene(looks, kModel);
    Stage& stage = scene.stage();
    AppController& app = scene.app();
    if (!stage.shot("empty") || !scene.open("/demo/Field notes.pdf")) return false;
    if (!Stage::waitFor([&] { return !app.reading()->forecast().isEmpty(); }, kPatienceS))
        return stage.fail("no forecast");
    if (!stage.shot("reading")) return false;
    stage.click("forecastOpen");
    if (!stage.shot("forecast")) return false;
    stage.click("forecastOpen");
    app.reading()->pause();
    if (!stage.shot("paused")) return false;
    app.reading()->resume();
    if (!scene.ask("What must a package have?")) return stage.fail("the question was not taken");
    if (!stage.shot("waiting")) return false;
    Stage::wait(2500);
    if (!stage.shot("answering") || !scene.answered() || !stage.shot("answered")) return false;
    stage.named("conversation")->setProperty("contentY", 0);
    if (!stage.shot("answered-top")) return false;
    stage.focus(stage.shown(QStringLiteral("source0")));
    if (!stage.shot("quote-card")) return false;
    stage.focus(stage.named("heatStrip"));
    if (!stage.shot("heat-strip")) return false;
    app.chat()->newChat();
    Stage::wait(100);
    for (const char* list : {"chats", "model"}) {
        stage.press(stage.named(list));
        if (!stage.shot(list)) return false;
        stage.key(Qt::Key_Escape);
    }
    if (!Stage::waitFor([&] { return app.reading()->state() == ReadingController::Ready; }, kPatienceS))
        return stage.fail("not read");
    app.chat()->askAll({QStringLiteral("What must a package have?"), QStringLiteral("Who decides, and when?")});
    Stage::wait(2500);
    return stage.shot("list-progress");
}

bool thePages(const Looks& looks) {
    Scene scene(looks, kModel);
    Stage& stage = scene.stage();
    AppController& app = scene.app();
    if (!scene.open("/demo/Field notes.pdf")) return false;
    if (!Stage::waitFor([&] { return stage.shown(QStringLiteral("contents")); }, kPatienceS))
        return stage.fail("no contents");
    stage.click("contents");
    if (!stage.shot("outline")) return false;
    stage.key(Qt::Key_Escape);
    stage.press(stage.named("zoom"));
    if (!stage.shot("zoom-menu")) return false;
    stage.key(Qt::Key_Escape);
    stage.key(Qt::Key_F, Qt::ControlModifier);
    stage.named("findWords")->setProperty("text", QStringLiteral("word"));
    app.pages()->find(QStringLiteral("word"), 0);
    if (!stage.shot("find")) return false;
    app.pages()->selection()->begin(2, {80, 70}, PageSelection::Line);
    if (!stage.shot("chosen-words")) return false;
    stage.press(stage.named("pages"), Qt::RightButton);
    if (!stage.shot("page-menu")) return false;
    stage.key(Qt::Key_Escape);
    app.pages()->selection()->clear();
    app.pages()->placeWanted(3, 0.9, false);  // has no text
    if (!stage.shot("page-without-text")) return false;
    (void)app.pages()->navigator()->followLink(1, {80, 70});
    Stage::wait(100);
    (void)app.pages()->navigator()->followLink(1, {80, 70});
    if (!stage.shot("link-question")) return false;
    stage.key(Qt::Key_Escape);
    scene.engine().failures["render"] = Error{Code::NoMemory, {}, {}};
    app.pages()->placeWanted(30, 0, false);
    if (!stage.shot("page-problem")) return false;
    scene.engine().failures.clear();
    if (!scene.open("/demo/Notes.md")) return false;
    if (!Stage::waitFor([&] { return !app.pages()->hasPages(); }, kPatienceS)) return stage.fail("no text");
    stage.key(Qt::Key_O, Qt::ControlModifier | Qt::ShiftModifier);
    if (!stage.shot("text-outline")) return false;
    stage.key(Qt::Key_Escape);
    app.pages()->show({"Notes", 0, {9, 16}, "First paragraph.", {}, 1.f});
    return stage.shot("text");
}

bool theLibrary(const Looks& looks) {
    Scene scene(looks, kModel);
    Stage& stage = scene.stage();
    AppController& app = scene.app();
    for (const char* name :
         {"Rent agreement 2024", "A study of memory in readers of very long documents, second edition", "Recipes",
          "Manual"})
        scene.engine().rows.push_back(ScriptedEngine::document(std::string("/demo/") + name + ".pdf"));
    scene.engine().rows.back().state = DocumentState::NeedsPassword;
    app.library()->load({});
    if (!scene.open("/demo/Field notes.pdf")) return false;
    Stage::wait(300);
    stage.press(stage.named("libraryOrder"));
    if (!stage.shot("library-order")) return false;
    stage.key(Qt::Key_Escape);
    stage.press(stage.shown(QStringLiteral("menuOfField notes")));
    if (!stage.shot("document-menu")) return false;
    stage.key(Qt::Key_Escape);
    QQuickItem* document = stage.shown(QStringLiteral("menuOfField notes"));
    while (document && !document->property("sha").isValid()) document = document->parentItem();
    stage.focus(document);
    Stage::wait(900);
    if (!stage.shot("document-details")) return false;
    for (const char* words : {"word", "nothing"}) {
        stage.named("findAllWords")->setProperty("text", QString::fromLatin1(words));
        Stage::wait(200);
        if (!stage.shot(words[0] == 'w' ? "find-in-all" : "find-in-all-none")) return false;
    }
    stage.named("findAllWords")->setProperty("text", QString());
    app.library()->forgetReading(app.library()->current());
    if (!stage.shot("undo")) return false;
    app.library()->forgetting()->undo();
    app.library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/demo/enc tax return.pdf"))});
    if (!Stage::waitFor([&] { return !app.library()->passwordFor().isEmpty(); }, kPatienceS))
        return stage.fail("no password asked for");
    if (!stage.shot("password")) return false;
    app.library()->givePassword(QStringLiteral("wrong"));
    if (!stage.shot("password-wrong")) return false;
    app.library()->cancelPassword();
    return true;
}

bool theDialogs(const Looks& looks) {
    Scene scene(looks, kModel);
    Stage& stage = scene.stage();
    AppController& app = scene.app();
    if (!scene.open("/demo/Field notes.pdf")) return false;
    if (!Stage::waitFor([&] { return app.reading()->state() == ReadingController::Ready; }, kPatienceS))
        return stage.fail("not read");
    if (!scene.ask("Why?")) return stage.fail("not asked");
    Stage::wait(2000);
    app.model()->addFolder(QStringLiteral("/home/me/a folder with a long name/of language models"));
    for (const char* dialog : {"memoryPanel", "settingsDialog", "keysDialog", "questionsDialog"}) {
        stage.call(dialog, "open");
        if (!stage.shot(dialog)) return false;
        if (QByteArray(dialog) == "memoryPanel") {
            Stage::wait(600);
            stage.click("memoryTable");
            if (!stage.shot("memory-table")) return false;
            stage.click("memoryTable");
            stage.click("wholeMemory");
            if (!stage.shot("memory-below")) return false;
        }
        if (QByteArray(dialog) == "settingsDialog" || QByteArray(dialog) == "keysDialog") {
            const bool settings = dialog[0] == 's';
            QQuickItem* view = stage.named(settings ? "settingsScroll" : "keys");
            const double last = std::max(0., view->property("contentHeight").toReal() - view->height());
            view->setProperty("contentY", last / 2);
            if (!stage.shot(settings ? "settings-middle" : "keys-middle")) return false;
            view->setProperty("contentY", last);
            if (!stage.shot(settings ? "settings-end" : "keys-end")) return false;
        }
        if (QByteArray(dialog) == "questionsDialog") {
            stage.named("questions")
                ->setProperty("text", QStringLiteral("What must a package have?\nWho decides, and when?"));
            if (!stage.shot("questions-filled")) return false;
        }
        stage.call(dialog, "close");
    }
    app.mover()->choose(QStringLiteral("/media/me/A large disk/Carrel"));
    if (!stage.shot("move")) return false;
    app.mover()->start();
    const bool taken = stage.shot("moving");
    app.mover()->cancel();
    return taken;
}

bool theFailures(const Looks& looks) {
    Scene scene(looks, kModel);
    Stage& stage = scene.stage();
    AppController& app = scene.app();
    ScriptedEngine& engine = scene.engine();
    engine.failures["add"] = Error{Code::Io, "/demo/Broken.pdf", "input/output error"};
    app.library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/demo/Broken.pdf"))});
    if (!Stage::waitFor([&] { return !app.problem().isEmpty(); }, kPatienceS)) return stage.fail("nothing failed");
    if (!stage.shot("problem")) return false;
    app.dismissProblem();
    engine.failures.clear();
    if (!scene.open("/demo/Another.pdf")) return false;
    if (!Stage::waitFor([&] { return app.reading()->fraction() > 0; }, kPatienceS))
        return stage.fail("the reading did not begin");
    engine.endReading(engine.reads.size() - 1, Error{Code::DiskFull, {}, {}});
    if (!scene.ask("Will this fail?")) return stage.fail("not asked");
    if (!Stage::waitFor([&] { return !engine.asks.empty(); }, kPatienceS)) return stage.fail("not asked");
    Stage::wait(100);
    emit engine.turnFailed(engine.asks.back().ticket, Error{Code::NoMemory, {}, "needs 900 MiB, 300 are free"});
    return stage.shot("failed");
}

}  // namespace

bool everything(const Looks& looks) {
    bool all = true;
    for (const auto part : {withoutAModel, aQuestion, thePages, theLibrary, theDialogs, theFailures})
        all &= part(looks);
    return all;
}

}  // namespace carrel::app
