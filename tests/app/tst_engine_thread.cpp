#include "app/engine_thread.h"

#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

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
