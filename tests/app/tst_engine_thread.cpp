#include "app/chat_controller.h"
#include "app/engine_thread.h"
#include "app/library_controller.h"
#include "app/pages_controller.h"
#include "app/processor_controller.h"

#include <QDirIterator>
#include <QSignalSpy>
#include <QStandardPaths>
#include <QTemporaryDir>
#include <QTest>

#include <set>

using namespace carrel;
using namespace carrel::app;

// The real doors, without a model: what they answer arrives here, and nothing arrives after shutdown().
class TestEngineThread : public QObject {
    Q_OBJECT

  private slots:
    void chatsAndDraftsAreThereAfterARestart() {
        QTemporaryDir data, files;
        QFile note(files.filePath(QStringLiteral("note.md")));
        QVERIFY(note.open(QIODevice::WriteOnly));
        note.write("# Title\n\nSome words.\n");
        note.close();
        ComputeOptions options;
        options.dataDir = data.path().toStdString();
        std::string sha, chat;
        {
            EngineThread engine(options);
            engine.add(note.fileName().toStdString(), {}, {}, {}, [&](const Result<DocumentRow>& row) {
                if (row) sha = row->sha256;
            });
            QTRY_VERIFY_WITH_TIMEOUT(!sha.empty(), 20000);
            engine.newChat(sha, [&](const Result<ChatRow>& row) {
                if (row) chat = row->id;
            });
            QTRY_VERIFY(!chat.empty());
            engine.saveDraft(chat, "half a thought", {});  // closing does not lose what was just asked for
        }
        EngineThread engine(options);
        std::string draft;
        engine.chats(sha, [&](const Result<std::vector<ChatRow>>& rows) {
            if (rows && !rows->empty()) draft = rows->front().draft;
        });
        QTRY_COMPARE_WITH_TIMEOUT(draft, std::string("half a thought"), 10000);
    }

    void anEncryptedDocumentOpensWithItsPasswordAndAsksAgainAfterARestart() {
        const QString file = QStringLiteral(CARREL_PDFS "/enc-user-aes256.pdf");
        if (!QFile::exists(file)) QSKIP("no test document: " CARREL_PDFS "/enc-user-aes256.pdf");
        QTemporaryDir data;
        ComputeOptions options;
        options.dataDir = data.path().toStdString();
        options.pdfHelper = CARREL_PDF;
        QString sha;
        for (const bool restarted : {false, true}) {
            EngineThread engine(options);
            Passwords passwords;
            LibraryController library(engine, passwords, {});
            PagesController pages(engine, passwords);
            connect(&library, &LibraryController::documentOpened, &pages,
                    [&pages = pages](const DocumentRow& row) { pages.open(row); });
            connect(&pages, &PagesController::needsPassword, &library, &LibraryController::askPassword);
            if (restarted)
                library.load(sha);
            else
                library.addFiles({QUrl::fromLocalFile(file)});
            QTRY_VERIFY_WITH_TIMEOUT(!library.passwordFor().isEmpty(), 30000);
            library.givePassword(QStringLiteral("wrong"));
            QTRY_VERIFY_WITH_TIMEOUT(!library.passwordProblem().isEmpty(), 30000);
            library.givePassword(QStringLiteral("secret"));
            QTRY_COMPARE_WITH_TIMEOUT(pages.pages()->rowCount(), 193, 60000);
            sha = library.current();
            engine.shutdown();
        }
    }

    void aReadingWithoutAModelEndsOnceWithAReason() {
        QTemporaryDir data;
        ComputeOptions options;
        options.dataDir = data.path().toStdString();
        EngineThread engine(options);
        QSignalSpy ended(&engine, &EnginePort::readingEnded);
        ReadRequest request;
        request.ticket = engine.nextTicket();
        request.document = std::string(64, 'a');
        engine.read(std::move(request));
        QTRY_COMPARE_WITH_TIMEOUT(ended.count(), 1, 10000);
        QTest::qWait(100);
        QCOMPARE(ended.count(), 1);
    }

    void aListIsAnsweredTogetherAndLeavesNoTailsAndTheTiersCountIt() {
        const QString model = QStandardPaths::locate(QStandardPaths::GenericDataLocation,
                                                     QStringLiteral("carrel/models/smollm2-135m-instruct-q4_1.gguf"));
        if (model.isEmpty()) QSKIP("no model: carrel/models/smollm2-135m-instruct-q4_1.gguf");
        QTemporaryDir data, files;
        QFile note(files.filePath(QStringLiteral("note.md")));
        QVERIFY(note.open(QIODevice::WriteOnly));
        for (int i = 0; i < 12; ++i)
            note.write("# Bees\n\nThe oldest hive stands behind the mill and has nine frames.\n\n");
        note.close();
        ComputeOptions options;
        options.dataDir = data.path().toStdString();
        EngineThread engine(options);
        std::string sha;
        bool loaded = false;
        engine.add(note.fileName().toStdString(), {}, {}, {}, [&](const Result<DocumentRow>& row) {
            if (row) sha = row->sha256;
        });
        engine.loadModel(model.toStdString(), [&](const Result<ModelInfo>& info) { loaded = static_cast<bool>(info); });
        QTRY_VERIFY_WITH_TIMEOUT(!sha.empty() && loaded, 60000);
        QSignalSpy read(&engine, &EnginePort::readingEnded);
        ReadRequest request;
        request.ticket = engine.nextTicket();
        request.document = sha;
        engine.read(std::move(request));
        QTRY_COMPARE_WITH_TIMEOUT(read.count(), 1, 60000);

        Passwords passwords;
        ChatController chat(engine, passwords, [](const QString&) { return true; });
        QSignalSpy ended(&chat, &ChatController::ended);
        chat.open(QString::fromStdString(sha));
        QTRY_VERIFY(!chat.current().isEmpty());
        std::set<quint64> writing;
        bool together = false;
        connect(&engine, &EnginePort::turnText, this, [&](quint64 ticket) {
            if (ended.isEmpty()) writing.insert(ticket);
            together = together || writing.size() == 3;
        });
        chat.askAll({QStringLiteral("Where is the oldest hive?"), QStringLiteral("How many frames are there?"),
                     QStringLiteral("What stands behind the mill?")});
        QTRY_COMPARE_WITH_TIMEOUT(ended.count(), 3, 120000);
        QVERIFY(together);
        std::optional<TierView> tiers;  // asked behind the tails, so that these are gone by then
        engine.tiers(sha, [&](const Result<std::optional<TierView>>& view) { tiers = view ? *view : std::nullopt; });
        QTRY_VERIFY_WITH_TIMEOUT(tiers, 10000);
        QVERIFY(!tiers->rows.empty());
        QVERIFY(tiers->report.device.bytesRead > 0);
        QDirIterator tails(data.path(), {QStringLiteral("tails")}, QDir::Dirs, QDirIterator::Subdirectories);
        while (tails.hasNext())
            QCOMPARE(QDir(tails.next()).entryList(QDir::AllEntries | QDir::NoDotAndDotDot), QStringList());
    }

    void aDocumentThatIsNotOpenHasNoTiers() {
        QTemporaryDir data;
        ComputeOptions options;
        options.dataDir = data.path().toStdString();
        EngineThread engine(options);
        std::optional<Result<std::optional<TierView>>> heard;
        engine.tiers(std::string(64, 'a'), [&](const Result<std::optional<TierView>>& view) { heard = view; });
        QTRY_VERIFY_WITH_TIMEOUT(heard, 10000);
        QVERIFY(*heard);
        QVERIFY(!**heard);
    }

    void theWindowHearsWhoComputesFromTheEnginesThread_data() {
        QTest::addColumn<QString>("plugin");
        QTest::addColumn<QString>("name");
        QTest::addColumn<QString>("why");
        const QString processor = QStringLiteral("Processor");
        QTest::newRow("no plugin") << QString() << processor
                                   << QStringLiteral("Carrel was built or installed without its CUDA part.");
#if defined(CARREL_EMULATED_PLUGIN) && defined(__x86_64__)
        if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return;
        const QString gpu = QStringLiteral("cushim (no GPU: kernels run on the host)");
        QTest::newRow("a GPU") << QStringLiteral(CARREL_EMULATED_PLUGIN) << gpu << QString();
        QTest::newRow("a GPU that is wrong")
            << QStringLiteral(CARREL_WRONG_PLUGIN) << processor
            << QStringLiteral(
                   "The GPU %1 is not used, because it gives other results than it should in 2 of 99 "
                   "operations: swiglu and geglu.")
                   .arg(gpu);
#endif
    }
    void theWindowHearsWhoComputesFromTheEnginesThread() {
        QFETCH(const QString, plugin);
        QFETCH(const QString, why);
        QTemporaryDir data;
        ComputeOptions options;
        options.dataDir = data.path().toStdString();
        options.cudaPlugin = plugin.toStdString();
        EngineThread engine(options);
        ProcessorController processor(engine);
        processor.refresh();
        QTRY_VERIFY_WITH_TIMEOUT(!processor.name().isEmpty(), 60000);
        QTEST(processor.name(), "name");
        QCOMPARE(processor.why(), why);
        QCOMPARE(processor.report().contains(QStringLiteral("wrong  swiglu  ")),
                 plugin.contains(QStringLiteral("wrong")));
    }

    void nothingArrivesAfterShutdown() {
        QTemporaryDir data;
        ComputeOptions options;
        options.dataDir = data.path().toStdString();
        EngineThread engine(options);
        int replies = 0;
        for (int i = 0; i < 50; ++i) engine.documents([&](const Result<std::vector<DocumentRow>>&) { ++replies; });
        engine.shutdown();
        const int now = replies;
        QTest::qWait(50);
        QCOMPARE(replies, now);
    }
};

QTEST_MAIN(TestEngineThread)
#include "tst_engine_thread.moc"
