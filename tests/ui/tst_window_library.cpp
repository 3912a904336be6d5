#include "window_test.h"

using namespace carrel;
using namespace carrel::app;

// Documents come, are found, and go.
class TestWindowLibrary : public WindowTest {
    Q_OBJECT

  private slots:
    void aDroppedFileIsAddedAndPlainTextIsNot() {
        QMimeData text;
        text.setText(QStringLiteral("words"));
        QDragEnterEvent refused(QPoint(600, 300), Qt::CopyAction, &text, Qt::LeftButton, Qt::NoModifier);
        QCoreApplication::sendEvent(win(), &refused);
        QVERIFY(!item("drop")->property("containsDrag").toBool());
        QDragLeaveEvent leave;
        QCoreApplication::sendEvent(win(), &leave);

        QMimeData files;
        files.setUrls({QUrl::fromLocalFile(QStringLiteral("/x/Dropped.pdf"))});
        QDragEnterEvent enter(QPoint(600, 300), Qt::CopyAction, &files, Qt::LeftButton, Qt::NoModifier);
        QCoreApplication::sendEvent(win(), &enter);
        QDropEvent drop(QPoint(600, 300), Qt::CopyAction, &files, Qt::LeftButton, Qt::NoModifier);
        QCoreApplication::sendEvent(win(), &drop);
        QTRY_COMPARE(app().library()->currentTitle(), QStringLiteral("Dropped"));
    }

    void wordsAreFoundInAllDocumentsAndTheirPlaceIsOpenedByKeyboard() {
        openDocument();
        const std::string policy = ScriptedEngine::document("/demo/Debian Policy Manual.pdf").sha256;
        engine_->hits = {{policy, "p. 9", "a word of it", "a \2word\3 of <it>", 9, {9000, 12}, 2},
                         {policy, "p. 2", "one more word", "one more \2word\3", 2, {2000, 13}, 1}};
        QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier | Qt::ShiftModifier);
        QTRY_VERIFY(item("findAllWords")->hasActiveFocus());
        type("wor");
        QTRY_VERIFY(item("findAllNote")->property("text").toString().startsWith(QStringLiteral("No document")));
        type("d");
        QTRY_COMPARE(item("findAllHits")->property("count").toInt(), 2);
        QVERIFY(!item("library")->isVisible());
        QModelIndex first = app().finding()->index(0);
        QCOMPARE(first.data(LibraryFind::TitleRole).toString(), QStringLiteral("Debian Policy Manual"));
        QCOMPARE(first.data(LibraryFind::SnippetRole).toString(), QStringLiteral("a <b>word</b> of &lt;it&gt;"));
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(app().library()->currentTitle(), QStringLiteral("Debian Policy Manual"));
        QTRY_COMPARE(app().pages()->hit(), 3);
        QTRY_COMPARE(item("pages")->property("shownPage").toInt(), 9);
        QTRY_VERIFY(item("findWords")->isVisible());
        QCOMPARE(item("findWords")->property("text").toString(), QStringLiteral("word"));
        QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier | Qt::ShiftModifier);
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(item("library")->isVisible());
        QVERIFY(app().finding()->words().isEmpty());
    }

    void aDocumentIsForgottenFromItsMenuAndHadBackByKeyboard() {
        openDocument();
        QTRY_VERIFY(shown(QStringLiteral("documentState")));
        app().library()->load({});  // as at the start
        QTRY_COMPARE(item("library")->property("count").toInt(), 3);
        QTest::qWait(50);
        QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier | Qt::ShiftModifier);
        QTRY_VERIFY(item("findAllWords")->hasActiveFocus());
        type("x");
        QTest::keyClick(win(), Qt::Key_Escape);
        QTest::keyClick(win(), Qt::Key_F10, Qt::ShiftModifier);
        QObject* menu = win()->findChild<QObject*>(QStringLiteral("menuOfDocument"));
        QTRY_VERIFY(menu->property("opened").toBool());
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_VERIFY(app().library()->current().isEmpty());
        QTRY_VERIFY(item("forgotten")->isVisible());
        QVERIFY(item("forgotten")->property("text").toString().contains(QStringLiteral("Field notes")));
        QCOMPARE(engine_->rows.size(), 3u);
        QTest::keyClick(win(), Qt::Key_Z, Qt::ControlModifier);
        QTRY_COMPARE(app().library()->currentTitle(), QStringLiteral("Field notes"));
        QTRY_VERIFY(!item("forgotten")->isVisible());
        app().close();
        QCOMPARE(engine_->rows.size(), 3u);
    }

    void whatWasReadIsForgottenAndReadAgainFromTheMenu() {
        openDocument();
        QQuickItem* more = nullptr;
        QTRY_VERIFY((more = shown(QStringLiteral("menuOfField notes"))));
        click(more);
        QTRY_VERIFY(item("forgetReading") && item("forgetReading")->isVisible());
        QTRY_VERIFY(item("forgetReading")->isEnabled());
        click(item("forgetReading"));
        QTRY_COMPARE(app().reading()->fraction(), 0.0);
        QVERIFY(engine_->forgottenReadings.empty());
        click(item("undo"));
        QTRY_COMPARE(app().reading()->state(), ReadingController::Reading);
        QVERIFY(engine_->forgottenReadings.empty());
    }

    void pauseAndResumeAreButtons() {
        openDocument();
        click(item("pause"));
        QTRY_COMPARE(app().reading()->state(), ReadingController::Paused);
        click(item("resume"));
        QTRY_COMPARE(app().reading()->state(), ReadingController::Reading);
    }

    void aProblemIsASentenceThatCanBeClosed() {
        app().showProblem(QStringLiteral("The disk is full. Free some space."));
        QTRY_VERIFY(item("problem")->isVisible());
        QCOMPARE(item("problem")->property("text").toString(), app().problem());
        app().dismissProblem();
        QTRY_VERIFY(!item("problem")->isVisible());
    }

    void aFailureHasOneButtonThatDoesSomethingAboutIt() {
        engine_->failures["add"] = Error{Code::Io, "/x/Broken.pdf", "input/output error"};
        app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Broken.pdf"))});
        QTRY_VERIFY(item("problem")->isVisible());
        QVERIFY(app().problem().contains(QStringLiteral("not touched")));
        QCOMPARE(item("remedy")->property("text").toString(), QStringLiteral("Try again"));
        engine_->failures.clear();
        click(item("remedy"));
        QTRY_COMPARE(app().library()->currentTitle(), QStringLiteral("Broken"));
        QVERIFY(!item("problem")->isVisible());
        const QString report = app().report();
        QVERIFY2(report.contains(QStringLiteral("Io while Add")), qPrintable(report));
        QVERIFY2(!report.contains(QStringLiteral("Broken")), qPrintable(report));
    }
};

int main(int argc, char** argv) {
    return runWindowTest<TestWindowLibrary>(argc, argv);
}
#include "tst_window_library.moc"
