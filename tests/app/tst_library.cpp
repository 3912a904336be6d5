#include "app/library_controller.h"
#include "tests/support/scripted_engine.h"

#include <QSignalSpy>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

class TestLibrary : public QObject {
    Q_OBJECT

    struct Desk {
        ScriptedEngine engine;
        Passwords passwords;
        LibraryController library{engine, passwords};
        QSignalSpy problems{&library, &LibraryController::problem};
        QSignalSpy opened{&library, &LibraryController::documentOpened};
        void add(const QString& file) { library.addFiles({QUrl::fromLocalFile(file)}); }
    };

  private slots:
    void aDroppedFileIsAddedAndOpened() {
        Desk d;
        d.add(QStringLiteral("/x/Notes.pdf"));
        QVERIFY(!d.library.adding().isEmpty());
        QTRY_COMPARE(d.opened.count(), 1);
        QCOMPARE(d.library.currentTitle(), QStringLiteral("Notes"));
        QVERIFY(d.library.adding().isEmpty());
    }

    void anEncryptedFileAsksAgainUntilThePasswordFitsAndKeepsItInMemory() {
        Desk d;
        d.add(QStringLiteral("/x/enc.pdf"));
        QTRY_COMPARE(d.library.passwordFor(), QStringLiteral("enc"));
        QVERIFY(d.library.passwordProblem().isEmpty());
        d.library.givePassword(QStringLiteral("wrong"));
        QTRY_VERIFY(!d.library.passwordProblem().isEmpty());
        QCOMPARE(d.opened.count(), 0);
        d.library.givePassword(QStringLiteral("secret"));
        QTRY_COMPARE(d.opened.count(), 1);
        QCOMPARE(d.passwords.of(d.library.current().toStdString()), std::string("secret"));
    }

    void filesAfterAnEncryptedOneWaitForItsPassword() {
        Desk d;
        d.library.addFiles(
            {QUrl::fromLocalFile(QStringLiteral("/x/enc.pdf")), QUrl::fromLocalFile(QStringLiteral("/x/b.pdf"))});
        QTRY_VERIFY(!d.library.passwordFor().isEmpty());
        QCOMPARE(d.opened.count(), 0);
        d.library.cancelPassword();
        QTRY_COMPARE(d.opened.count(), 1);
        QCOMPARE(d.library.currentTitle(), QStringLiteral("b"));
    }

    void aFileThatCannotBeUsedIsNamedWithAReason() {
        Desk d;
        d.engine.failures["add"] = Error{Code::NotADocument, "/x/photo.pdf", "no PDF header"};
        d.add(QStringLiteral("/x/photo.pdf"));
        QTRY_COMPARE(d.problems.count(), 1);
        QVERIFY(d.problems[0][0].toString().startsWith(QStringLiteral("photo.pdf is not a document")));
    }

    void somethingFromTheWebIsNotFetched() {
        Desk d;
        d.library.addFiles({QUrl(QStringLiteral("https://example.org/a.pdf"))});
        QCOMPARE(d.problems.count(), 1);
        QVERIFY(d.engine.rows.empty());
    }

    void forgettingRemovesTheRowAndTheReadings() {
        Desk d;
        d.add(QStringLiteral("/x/Notes.pdf"));
        QTRY_COMPARE(d.opened.count(), 1);
        d.library.forget(d.library.current());
        QTRY_COMPARE(d.library.documents()->count(), 0);
        QCOMPARE(d.engine.forgottenReadings.size(), 1u);
        QVERIFY(d.library.current().isEmpty());
    }

    void theLastDocumentIsOpenedAtStart() {
        Desk d;
        d.engine.rows = {ScriptedEngine::document("/x/a.pdf"), ScriptedEngine::document("/x/b.pdf")};
        d.library.load(QString::fromStdString(d.engine.rows[1].sha256));
        QTRY_COMPARE(d.opened.count(), 1);
        QCOMPARE(d.library.currentTitle(), QStringLiteral("b"));
    }
};

QTEST_MAIN(TestLibrary)
#include "tst_library.moc"
