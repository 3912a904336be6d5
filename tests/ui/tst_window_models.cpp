#include "window_test.h"

using namespace carrel;
using namespace carrel::app;

// Choosing what answers, and the settings.
class TestWindowModels : public WindowTest {
    Q_OBJECT

  private slots:
    void withoutAModelDocumentsAreAddedSeenAndSearchedAndAClickBringsOne() {
        restartWithoutModel();
        app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Field notes.pdf"))});
        QTRY_VERIFY(!app().chat()->current().isEmpty());
        QTRY_VERIFY(item("pages")->property("count").toInt() > 12);
        QTRY_VERIFY(!engine_->rendered.empty());
        QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier);
        type("word");
        QTRY_COMPARE(app().pages()->hits(), 3);
        QVERIFY(engine_->reads.empty());
        QVERIFY(app().problem().isEmpty());

        QTRY_VERIFY(item("modelMissing")->isVisible());
        QVERIFY(item("modelMissingText")->property("text").toString().contains(QStringLiteral("language model")));
        QCOMPARE(item("modelMissingList")->property("currentIndex").toInt(), 0);
        QTest::keyClick(win(), Qt::Key_L, Qt::ControlModifier);
        type("Why?");
        QTest::keyClick(win(), Qt::Key_Return);
        QVERIFY(!app().chat()->answering());
        click(shown(QStringLiteral("modelChoice0"), item("modelMissing")));
        QTRY_COMPARE(app().model()->state(), ModelController::Loaded);
        QCOMPARE(engine_->loadedModels, std::vector{engine_->models.models[0].file.string()});
        QTRY_VERIFY(!item("modelMissing")->isVisible());
        QTRY_VERIFY(app().reading()->fraction() > 0);
        QVERIFY(item("composer")->hasActiveFocus());
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_VERIFY(app().chat()->answering());
    }

    void aModelIsChosenFromTheKeyboardAndOneThatWillNotFitIsNot() {
        restartWithoutModel();
        app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Field notes.pdf"))});
        QTRY_VERIFY(item("modelMissing")->isVisible());
        QQuickItem* list = item("modelMissingList");
        QTRY_COMPARE(list->property("count").toInt(), 5);
        list->forceActiveFocus(Qt::TabFocusReason);
        for (int i = 0; i < 3; ++i) QTest::keyClick(win(), Qt::Key_Down);
        QCOMPARE(list->property("currentIndex").toInt(), 3);
        QTest::keyClick(win(), Qt::Key_Return);
        QCoreApplication::processEvents();
        QVERIFY(engine_->loadedModels.empty());
        QTest::keyClick(win(), Qt::Key_Up);
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(engine_->loadedModels, std::vector{engine_->models.models[2].file.string()});
    }

    void theModelsButtonListsWhatWasFoundWithWordsForHowItFits() {
        QTRY_COMPARE(app().model()->state(), ModelController::Loaded);
        click(item("model"));
        QQuickItem* first = nullptr;
        QTRY_VERIFY((first = shown(QStringLiteral("modelChoice0"))) && first->isVisible());
        QAccessible::setActive(true);
        QAccessibleInterface* a = QAccessible::queryAccessibleInterface(first);
        QVERIFY(a && a->text(QAccessible::Name).contains(QStringLiteral("fits")));
        QTest::keyClick(win(), Qt::Key_Escape);
    }

    void aModelThatIsAskedInAPlainFormatSaysSo() {
        QTRY_COMPARE(app().model()->state(), ModelController::Loaded);
        QVERIFY(!item("modelNote")->isVisible());
        engine_->chatTemplate = "plain";
        app().model()->choose(QStringLiteral("/demo/other.gguf"));
        QTRY_VERIFY(item("modelNote")->isVisible());
        QVERIFY(item("modelNote")->property("text").toString().contains(QStringLiteral("plain format")));
        QVERIFY(!item("modelNote")->property("truncated").toBool());
        QVERIFY(item("modelNote")->mapToItem(item("model"), {0, item("modelNote")->height()}).y() <=
                item("model")->height());
    }

    void foldersAndThreadsAreSettings() {
        app().model()->addFolder(QStringLiteral("/mine"));
        QTest::keyClick(win(), Qt::Key_Comma, Qt::ControlModifier);
        click(item("moreThreads"));
        QTRY_COMPARE(app().model()->threads(), 1);
        QCOMPARE(item("threads")->property("text").toString(), QStringLiteral("1"));
        QCOMPARE(engine_->threads.back(), 1u);
        QQuickItem* remove = nullptr;
        QTRY_VERIFY((remove = shown(QStringLiteral("removeModelFolder0"))));
        click(remove);
        QTRY_VERIFY(app().model()->folders().isEmpty());
    }

    void whatTheKeyboardReachesInTheSettingsIsInView() {
        app().look()->setTextPercent(200);
        for (int i = 0; i < 8; ++i) app().model()->addFolder(QStringLiteral("/mine/%1").arg(i));
        QTest::keyClick(win(), Qt::Key_Comma, Qt::ControlModifier);
        QQuickItem* scroll = item("settingsScroll");
        QTRY_VERIFY(scroll->isVisible());
        QTRY_VERIFY(scroll->property("contentHeight").toReal() > scroll->height());
        QSet<QQuickItem*> seen;
        for (QQuickItem* at = win()->activeFocusItem(); at && !seen.contains(at); at = win()->activeFocusItem()) {
            seen << at;
            if (scroll->isAncestorOf(at)) {
                const QRectF box = at->mapRectToItem(scroll, at->boundingRect());
                QVERIFY2(box.top() >= 0 && box.bottom() <= scroll->height(), qPrintable(at->objectName()));
            }
            QTest::keyClick(win(), Qt::Key_Tab);
        }
        QVERIFY(seen.size() > 12);
    }

    void theSizeOfTextAndTheColoursAreChosenAndKept() {
        QObject* dialog = win()->findChild<QObject*>(QStringLiteral("settingsDialog"));
        QTest::keyClick(win(), Qt::Key_Comma, Qt::ControlModifier);
        QTRY_VERIFY(dialog->property("opened").toBool());
        const QColor light = win()->color();
        click(item("textLarger"));
        click(item("textLarger"));
        QCOMPARE(app().look()->textPercent(), 120);
        QTRY_VERIFY(shown(QStringLiteral("shade2"), win()->contentItem()));
        click(shown(QStringLiteral("shade2"), win()->contentItem()));
        QTRY_VERIFY(win()->color().lightness() < light.lightness());
        for (int i = 0; i < 20; ++i) app().look()->setTextPercent(app().look()->textPercent() + 10);
        QCOMPARE(app().look()->textPercent(), 200);
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!dialog->property("visible").toBool());
        Settings kept(folder_->filePath(QStringLiteral("window.ini")));
        QCOMPARE(kept.textPercent(), 200);
        QCOMPARE(kept.shade(), static_cast<int>(Look::Dark));
    }

    void theQuotaOfReadingsIsChosenAndKeptAndWhatIsEvictedIsNamed() {
        QTest::keyClick(win(), Qt::Key_Comma, Qt::ControlModifier);
        QTRY_VERIFY(item("quota") && item("quota")->isVisible());
        QTRY_VERIFY(item("diskText")->property("text").toString().startsWith(QStringLiteral("3.4 GB of 18.2 GB")));
        click(item("quota"));
        type("7");
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_COMPARE(engine_->quotaBytes, 7'000'000'000u);
        QTRY_VERIFY(item("diskText")->property("text").toString().contains(QStringLiteral("of 7.0 GB")));
        QCOMPARE(Settings(folder_->filePath(QStringLiteral("window.ini"))).quotaGb(), 7);
        click(item("quotaAutomatic"));
        QTRY_COMPARE(engine_->quotaBytes, 0u);
        QTest::keyClick(win(), Qt::Key_Escape);
        for (const DocumentRow& row : engine_->rows)
            emit engine_->readingEvicted(QString::fromStdString(row.sha256), 5 << 20);
        for (const char* part : {"Reading list", "Debian Policy Manual", "5.0 MiB"})
            QVERIFY(app().problem().contains(QString::fromLatin1(part)));
    }
};

int main(int argc, char** argv) {
    return runWindowTest<TestWindowModels>(argc, argv);
}
#include "tst_window_models.moc"
