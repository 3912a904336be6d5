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

    void theListIsSortedAndFilteredByTheWordsOfTitles() {
        Desk d;
        for (const char* name : {"/x/Beta report.pdf", "/x/alpha Report.pdf", "/x/Gamma.pdf"}) {
            d.add(QString::fromLatin1(name));
            QTRY_VERIFY(d.library.adding().isEmpty());
        }
        QTRY_COMPARE(d.library.documents()->count(), 3);
        ShownLibrary& shown = *d.library.shown();
        const auto titles = [&shown] {
            QStringList out;
            for (int row = 0; row < shown.rowCount(); ++row)
                out << shown.index(row, 0).data(LibraryModel::TitleRole).toString();
            return out.join(QLatin1Char('|'));
        };
        QCOMPARE(titles(), QStringLiteral("Gamma|alpha Report|Beta report"));
        shown.setOrder(ShownLibrary::Title);
        QCOMPARE(titles(), QStringLiteral("alpha Report|Beta report|Gamma"));
        shown.setWords(QStringLiteral("REPORT b"));
        QCOMPARE(titles(), QStringLiteral("Beta report"));
        shown.setWords(QStringLiteral("nothing"));
        QCOMPARE(titles(), QString());
        shown.setWords({});
        shown.setOrder(ShownLibrary::LastUsed);
        d.library.open(QString::fromStdString(d.library.documents()->at(2)->sha256));
        QCOMPARE(titles(), QStringLiteral("Beta report|Gamma|alpha Report"));
        DocumentRow large = *d.library.documents()->at(1);
        large.fileBytes = 1u << 30;
        large.addedAt = 2000000000;
        d.library.documents()->put(large);
        shown.setOrder(ShownLibrary::Size);
        QVERIFY(titles().startsWith(QStringLiteral("Gamma|")));
        shown.setOrder(ShownLibrary::Added);
        QVERIFY(titles().startsWith(QStringLiteral("Gamma|")));
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
        QVERIFY(d.problems[0][0].value<Problem>().text.startsWith(QStringLiteral("photo.pdf is not a document")));
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
