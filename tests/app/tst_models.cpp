#include "app/model_controller.h"
#include "app/model_words.h"
#include "tests/support/scripted_engine.h"

#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

constexpr char kDefaultFile[] = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";

class TestModels : public QObject {
    Q_OBJECT

    struct Desk {
        QTemporaryDir folder;
        ScriptedEngine engine;
        Settings settings{folder.filePath(QStringLiteral("window.ini"))};
        std::unique_ptr<ModelController> models;
        std::unique_ptr<QSignalSpy> problems;

        explicit Desk(std::optional<unsigned> threads = {}) {
            std::vector<ModelPlace> places{{path("downloads").toStdString(), ModelOrigin::Downloads},
                                           {path("own").toStdString(), ModelOrigin::Carrel},
                                           {path("package").toStdString(), ModelOrigin::Package}};
            models = std::make_unique<ModelController>(engine, settings, ModelOptions{places, threads});
            problems = std::make_unique<QSignalSpy>(models.get(), &ModelController::problem);
        }
        QString path(const char* name) const { return folder.filePath(QString::fromLatin1(name)); }
        QString touch(const char* where, const char* name = kDefaultFile) const {
            QDir(folder.path()).mkpath(QString::fromLatin1(where));
            QFile file(path(where) + QLatin1Char('/') + QString::fromLatin1(name));
            if (!file.open(QIODevice::WriteOnly)) qFatal("no file");
            return file.fileName();
        }
        void start(const QString& file = {}) {
            models->start(file);
            settle();
        }
        static void settle() {
            for (int i = 0; i < 4; ++i) QCoreApplication::processEvents();
        }
        QString at(int index, const char* key) const {
            return models->choices().at(index).toMap().value(QString::fromLatin1(key)).toString();
        }
    };
    using State = ModelController::State;

  private slots:
    void thePackagedDefaultIsTakenWithoutAskingAndWithoutLookingAround() {
        Desk d;
        d.touch("downloads");  // of that name, but nobody's default there
        const QString packaged = d.touch("package");
        d.start();
        QCOMPARE(d.models->state(), State::Loaded);
        QCOMPARE(d.engine.loadedModels, std::vector{packaged.toStdString()});
        QVERIFY(d.engine.searches.empty());
        QCOMPARE(d.models->missing(), QString());
    }

    void theOneUsedLastGoesBeforeTheDefaultUnlessItIsGone() {
        Desk d;
        const QString own = d.touch("own"), last = d.touch("downloads", "last.gguf");
        d.settings.setModel(last);
        d.start();
        QCOMPARE(d.engine.loadedModels, std::vector{last.toStdString()});
        QVERIFY(QFile::remove(last));
        d.start();
        QCOMPARE(d.engine.loadedModels.back(), own.toStdString());
    }

    void exactlyOneThatFitsIsTakenAndOthersAreNot() {
        Desk d;
        d.engine.models.models = {ScriptedEngine::model("/x/good.gguf", Fit::Fits),
                                  ScriptedEngine::model("/x/slow.gguf", Fit::Slow),
                                  ScriptedEngine::model("/x/huge.gguf", Fit::WontFit)};
        d.start();
        QCOMPARE(d.engine.loadedModels, std::vector<std::string>{"/x/good.gguf"});
        QCOMPARE(d.models->state(), State::Loaded);
    }

    void betweenSeveralThePersonChoosesAndTheBestIsFirst() {
        Desk d;
        d.engine.models.models = {ScriptedEngine::model("/x/one.gguf", Fit::Fits),
                                  ScriptedEngine::model("/x/two.gguf", Fit::Fits)};
        d.start();
        QVERIFY(d.engine.loadedModels.empty());
        QCOMPARE(d.models->state(), State::None);
        QVERIFY(d.models->missing().contains(QStringLiteral("Choose")));
        QCOMPARE(d.at(0, "name"), QStringLiteral("one"));
        d.models->choose(d.at(0, "file"));
        d.settle();
        QCOMPARE(d.models->state(), State::Loaded);
        QCOMPARE(d.models->missing(), QString());
        QCOMPARE(d.settings.model(), QStringLiteral("/x/one.gguf"));
    }

    void oneThatIsOnlySlowOrHasNoKnownFormatIsNotTakenUnasked() {
        Desk d;
        d.engine.models.models = {ScriptedEngine::model("/x/slow.gguf", Fit::Slow)};
        d.start();
        QVERIFY(d.engine.loadedModels.empty());
        Desk e;
        FoundModel base = ScriptedEngine::model("/x/base.gguf", Fit::Fits);
        base.info->chatTemplate = "plain";
        e.engine.models.models = {base};
        e.start();
        QVERIFY(e.engine.loadedModels.empty());
        QVERIFY(e.at(0, "detail").contains(QStringLiteral("plain format")));
    }

    void aLaterLookTakesNothing() {
        Desk d;
        d.start();
        QVERIFY(d.models->missing().contains(QStringLiteral("GGUF")));
        d.engine.models.models = {ScriptedEngine::model("/x/one.gguf", Fit::Fits),
                                  ScriptedEngine::model("/x/two.gguf", Fit::Fits)};
        d.models->lookAround();
        d.settle();
        QVERIFY(d.engine.loadedModels.empty());
        QCOMPARE(d.models->choices().size(), 2);
    }

    void whatIsLookedForIsSaidAndAnEarlierLooksAnswerIsDropped() {
        Desk d;
        d.engine.holdModels = true;
        d.start();
        QVERIFY(d.models->looking());
        QVERIFY(d.models->missing().contains(QStringLiteral("Looking")));
        d.models->lookAround();
        FoundModels old{{}, {ScriptedEngine::model("/x/old.gguf", Fit::Fits)}};
        d.engine.heldModels[0](old);
        QVERIFY(d.models->looking());
        QVERIFY(d.models->choices().isEmpty());
        d.engine.heldModels[1](FoundModels{});
        QVERIFY(!d.models->looking());
        QVERIFY(d.engine.loadedModels.empty());
    }

    void aModelThatFailsIsSaidAndOthersAreOffered() {
        Desk d;
        d.engine.failures["loadModel"] = Error{Code::Truncated, "/x/cut.gguf", {}};
        d.engine.models.models = {ScriptedEngine::model("/x/other.gguf", Fit::Fits)};
        d.start(QStringLiteral("/x/cut.gguf"));
        QCOMPARE(d.models->state(), State::Failed);
        QCOMPARE(d.problems->count(), 1);
        QVERIFY(d.models->missing().contains(QStringLiteral("cut")));
        QCOMPARE(d.models->choices().size(), 1);
        QCOMPARE(d.engine.loadedModels.size(), 1u);
    }

    void eachChoiceSaysHowItSuitsThisComputerInWords() {
        Desk d;
        FoundModel ollama = ScriptedEngine::model("/x/sha256-00", Fit::Slow, 2.84);
        ollama.origin = ModelOrigin::Ollama;
        ollama.name = "qwen2.5:7b";
        FoundModel broken = ScriptedEngine::model("/x/mmproj.gguf", Fit::Unknown);
        broken.info = Error{Code::Unsupported, "/x/mmproj.gguf", "it sees pictures"};
        d.engine.models.models = {ollama, ScriptedEngine::model("/x/huge.gguf", Fit::WontFit), broken,
                                  ScriptedEngine::model("/x/new.gguf", Fit::Unknown, 0)};
        d.start();
        QCOMPARE(d.at(0, "name"), QStringLiteral("qwen2.5:7b"));
        QCOMPARE(d.at(0, "fit"), QStringLiteral("slow"));
        QVERIFY2(d.at(0, "detail").contains(QStringLiteral("About 2.8 tokens a second")),
                 qPrintable(d.at(0, "detail")));
        QVERIFY(d.at(0, "detail").contains(QStringLiteral("Ollama")));
        QVERIFY(!d.at(0, "detail").contains(QStringLiteral("sha256")));
        QCOMPARE(d.at(1, "fit"), QStringLiteral("won't fit"));
        QCOMPARE(d.at(1, "usable"), QStringLiteral("false"));
        QVERIFY(d.at(1, "detail").contains(QStringLiteral("more than there is")));
        QCOMPARE(d.at(2, "fit"), QStringLiteral("not usable"));
        QVERIFY(d.at(2, "detail").contains(QStringLiteral("it sees pictures")));
        QCOMPARE(d.at(3, "fit"), QString());
        QCOMPARE(d.at(3, "usable"), QStringLiteral("true"));
    }

    void thePersonsFoldersAreLookedInFirstAndKept() {
        Desk d;
        d.start();
        d.models->addFolder(QStringLiteral("/mine"));
        d.models->addFolder(QStringLiteral("/mine"));
        QCOMPARE(d.models->folders(), QStringList{QStringLiteral("/mine")});
        QCOMPARE(d.engine.searches.size(), 2u);
        QCOMPARE(d.engine.searches[1].front().folder, std::filesystem::path("/mine"));
        QCOMPARE(Settings(d.path("window.ini")).modelFolders(), QStringList{QStringLiteral("/mine")});
        d.models->removeFolder(QStringLiteral("/mine"));
        QVERIFY(d.models->folders().isEmpty());
        QVERIFY(d.engine.searches[2].front().folder != std::filesystem::path("/mine"));
    }

    void whatWasMeasuredOfTheMachineIsKeptAndHandedBack() {
        Desk d;
        d.engine.models.machine = {"this machine", 1u << 30, 2.5e10};
        d.start();
        d.models->lookAround();
        QVERIFY(d.engine.knownMachines[0].identity.empty());
        QCOMPARE(d.engine.knownMachines[1].identity, std::string("this machine"));
        QCOMPARE(d.engine.knownMachines[1].bytesPerSecond, 2.5e10);
    }

    void threadsAreKeptAndUsedFromTheNextModelOn() {
        Desk d;
        d.start();
        QCOMPARE(d.engine.threads, std::vector<unsigned>{0});
        d.models->setThreads(1);
        QCOMPARE(d.engine.threads.back(), 1u);
        QCOMPARE(Settings(d.path("window.ini")).threads(), 1);
        d.models->setThreads(10'000);
        QCOMPARE(d.models->threads(), d.models->mostThreads());
    }

    void threadsOfTheCommandLineGoBeforeTheSettings() {
        Desk d(3);
        d.settings.setThreads(1);
        d.start();
        QCOMPARE(d.engine.threads, std::vector<unsigned>{3});
        d.models->setThreads(2);
        QCOMPARE(d.models->threads(), 3);
        QCOMPARE(d.settings.threads(), 1);
        QCOMPARE(d.engine.threads.size(), 1u);
    }
};

QTEST_MAIN(TestModels)
#include "tst_models.moc"
