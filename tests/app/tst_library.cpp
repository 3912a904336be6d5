#include "app/library_controller.h"
#include "tests/support/scripted_engine.h"

#include <QDesktopServices>
#include <QDir>
#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

using namespace carrel;
using namespace carrel::app;

// Takes the file manager's place.
class Shown : public QObject {
    Q_OBJECT
  public:
    QStringList folders;
    Shown() { QDesktopServices::setUrlHandler(QStringLiteral("file"), this, "open"); }
    ~Shown() override { QDesktopServices::unsetUrlHandler(QStringLiteral("file")); }
  public slots:
    void open(const QUrl& url) { folders << url.toLocalFile(); }
};

class TestLibrary : public QObject {
    Q_OBJECT

    struct Desk {
        ScriptedEngine engine;
        Passwords passwords;
        QSet<QString> paused;
        LibraryController library;
        QSignalSpy problems{&library, &LibraryController::problem};
        QSignalSpy opened{&library, &LibraryController::documentOpened};
        explicit Desk(std::chrono::milliseconds undoTime = std::chrono::hours(1))
            : library(
                  engine, passwords,
                  {QStringLiteral("/data"), [this](const QString& sha) { return paused.contains(sha); }, undoTime}) {}
        QVariant of(int row, int role) { return library.documents()->index(row).data(role); }
        QString state() { return of(0, LibraryModel::StateRole).toString(); }
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
        large.diskBytes = 1u << 30;
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

    void everyDocumentSaysItsStateByName() {
        Desk d;
        DocumentRow row = ScriptedEngine::document("/x/Lease.pdf");
        row.diskBytes = 5 << 20;
        row.openedAt = 1'000'000'000;
        const auto show = [&](DocumentState state, const char* reason = "") {
            row.state = state;
            row.reason = reason;
            d.library.documents()->put(row);
            return d.state();
        };
        QCOMPARE(show(DocumentState::Adding), QStringLiteral("Was not taken in completely: add it again"));
        QCOMPARE(show(DocumentState::NeedsPassword), QStringLiteral("Needs its password: open it to enter it"));
        QCOMPARE(show(DocumentState::NoText), QStringLiteral("No text in its pages (a scan?)"));
        QCOMPARE(show(DocumentState::Refused, "damaged"), QStringLiteral("Refused: damaged"));
        QCOMPARE(show(DocumentState::Ready), QStringLiteral("Text ready, not read"));
        const auto stored = [&](bool ours, std::uint32_t read, bool complete) {
            d.engine.stored = {{row.sha256, "m", ours, 100, 7 << 20, ScriptedEngine::summary("", read, 193).coverage,
                                complete, 1'100'000'000}};
            d.library.refresh();
            QCoreApplication::processEvents();
            return d.state();
        };
        QCOMPARE(stored(true, 193, true), QStringLiteral("Ready"));
        QCOMPARE(stored(true, 52, true), QStringLiteral("Ready for pages 1 to 52 of 193"));
        QCOMPARE(stored(false, 52, true), QStringLiteral("Text ready, read with another model"));
        QCOMPARE(stored(true, 52, false),
                 QStringLiteral("Paused: it goes on when it is opened · 52 of 193 pages read"));
        d.paused << QString::fromStdString(row.sha256);
        QCOMPARE(stored(true, 52, false), QStringLiteral("Paused by you · 52 of 193 pages read"));
        const QString brief = d.of(0, LibraryModel::BriefRole).toString();
        QVERIFY2(brief.startsWith(QStringLiteral("42 pages · 12.0 MiB · ")), qPrintable(brief));
        QVERIFY2(!brief.contains(QStringLiteral("today")), qPrintable(brief));
        const QString full = d.of(0, LibraryModel::FullRole).toString();
        for (const char* part : {"Paused by you", "5.0 MiB Carrel's copy", "7.0 MiB what was read", "/x/Lease.pdf"})
            QVERIFY2(full.contains(QString::fromLatin1(part)), qPrintable(full));
    }

    void aForgottenDocumentIsGoneAtOnceButDeletedOnlyWhenItsTimeIsOver() {
        Desk d(std::chrono::milliseconds(1));
        d.add(QStringLiteral("/x/Notes.pdf"));
        QTRY_COMPARE(d.opened.count(), 1);
        d.library.forget(d.library.current());
        QCOMPARE(d.library.documents()->count(), 0);
        QVERIFY(d.library.current().isEmpty());
        QCOMPARE(d.engine.rows.size(), 1u);
        QTRY_COMPARE(d.engine.rows.size(), 0u);
        QCOMPARE(d.engine.forgottenReadings.size(), 1u);
        QVERIFY(d.library.forgetting()->sentence().isEmpty());
    }

    void undoBringsADocumentBackWhereItWasAndOpensIt() {
        Desk d;
        for (const char* name : {"/x/a.pdf", "/x/b.pdf", "/x/c.pdf"}) {
            d.add(QString::fromLatin1(name));
            QTRY_VERIFY(d.library.adding().isEmpty());
        }
        QTRY_COMPARE(d.opened.count(), 3);
        d.library.open(QString::fromStdString(d.library.documents()->at(2)->sha256));
        QCOMPARE(d.library.currentTitle(), QStringLiteral("a"));
        d.library.forget(QString::fromStdString(d.library.documents()->at(1)->sha256));
        d.library.forget(d.library.current());
        QVERIFY(d.library.forgetting()->sentence().contains(QStringLiteral("“a”")));
        QCOMPARE(d.library.documents()->count(), 1);
        d.library.forgetting()->undo();
        QCOMPARE(d.library.currentTitle(), QStringLiteral("a"));
        d.library.forgetting()->undo();
        QCOMPARE(d.library.documents()->count(), 3);
        QCOMPARE(d.library.documents()->at(1)->title, std::string("c"));
        QVERIFY(d.library.forgetting()->sentence().isEmpty());
        d.library.stop();
        QCOMPARE(d.engine.rows.size(), 3u);
        QVERIFY(d.engine.forgottenReadings.empty());
    }

    void aWindowThatClosesDeletesAndAProgramThatDiesKeeps() {
        ScriptedEngine engine;
        engine.rows = {ScriptedEngine::document("/x/a.pdf")};
        const QString sha = QString::fromStdString(engine.rows[0].sha256);
        Passwords passwords;
        for (const bool closes : {false, true}) {
            LibraryController library(engine, passwords, {});
            library.load({});
            QTRY_COMPARE(library.documents()->count(), 1);
            library.forget(sha);
            library.forgetReading(sha);  // no longer there: nothing
            if (closes) library.stop();
            QCOMPARE(engine.rows.size(), closes ? 0u : 1u);
        }
    }

    void aForgottenDocumentThatIsAddedAgainIsKept() {
        Desk d;
        d.add(QStringLiteral("/x/Notes.pdf"));
        QTRY_COMPARE(d.opened.count(), 1);
        d.library.forget(d.library.current());
        d.add(QStringLiteral("/x/Notes.pdf"));
        QTRY_COMPARE(d.library.currentTitle(), QStringLiteral("Notes"));
        QVERIFY(d.library.forgetting()->sentence().isEmpty());
        d.library.stop();
        QCOMPARE(d.engine.rows.size(), 1u);
    }

    void whatWasReadIsForgottenAloneAndCanBeKept() {
        Desk d;
        d.add(QStringLiteral("/x/Notes.pdf"));
        QTRY_COMPARE(d.opened.count(), 1);
        QSignalSpy hidden(&d.library, &LibraryController::readingHidden);
        QSignalSpy kept(&d.library, &LibraryController::readingKept);
        QSignalSpy gone(&d.library, &LibraryController::readingGone);
        d.library.forgetReading(d.library.current());
        QCOMPARE(hidden.count(), 1);
        QVERIFY(d.engine.forgottenReadings.empty());
        d.library.forgetting()->undo();
        QCOMPARE(kept.count(), 1);
        d.library.forgetReading(d.library.current());
        d.library.stop();
        QCOMPARE(gone.count(), 1);
        QCOMPARE(d.engine.forgottenReadings.size(), 1u);
        QCOMPARE(d.engine.rows.size(), 1u);
        QCOMPARE(d.library.documents()->count(), 1);
    }

    void theFolderOfTheFileIsShownOrThatOfCarrelsCopy() {
        Shown shown;
        QTemporaryDir folder;
        QFile file(folder.filePath(QStringLiteral("here.pdf")));
        QVERIFY(file.open(QIODevice::WriteOnly));
        Desk d;
        d.engine.rows = {ScriptedEngine::document(file.fileName().toStdString()),
                         ScriptedEngine::document("/gone/away.pdf")};
        d.library.load({});
        QTRY_COMPARE(d.library.documents()->count(), 2);
        for (const DocumentRow& row : d.engine.rows) d.library.showFile(QString::fromStdString(row.sha256));
        QCOMPARE(shown.folders.value(0), folder.path());
        QCOMPARE(shown.folders.value(1),
                 QStringLiteral("/data/documents/") + QString::fromStdString(d.engine.rows[1].sha256));
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
