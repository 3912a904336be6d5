#include "window_test.h"

using namespace carrel;
using namespace carrel::app;

// Where the document is, in the panel and in the settings.
class TestWindowMemory : public WindowTest {
    Q_OBJECT

  private slots:
    void theMemoryPanelAsksTheEngineWhileItIsSeenAndEscapeClosesItFirst() {
        openDocument();
        QTRY_VERIFY(app().reading()->fraction() > 0.1);  // of more than one cell
        app().chat()->ask(QStringLiteral("Why?"));
        QTRY_VERIFY(app().chat()->answering());
        QVERIFY(engine_->tierPolls.empty());
        QTest::keyClick(win(), Qt::Key_M, Qt::ControlModifier);
        QTRY_VERIFY(app().tiers()->isOpen());
        QTRY_VERIFY(item("summary")->isVisible());
        QVERIFY(!item("notOpen")->isVisible());
        auto* map = win()->findChild<QQuickItem*>(QStringLiteral("map"));
        QTRY_VERIFY(map && map->hasActiveFocus());
        QTest::keyClick(win(), Qt::Key_Down);
        QTest::keyClick(win(), Qt::Key_Down);
        QTRY_VERIFY(item("place")->property("text").toString().startsWith(QStringLiteral("Layer 1, head 2")));
        QTRY_VERIFY(map->width() > 100 && app().tiers()->rows()[1].leaves.size() > 50);
        QTest::keyClick(win(), Qt::Key_Right);
        QTRY_VERIFY(!item("place")->property("text").toString().contains(QStringLiteral("tokens 0 to")));
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!app().tiers()->watching());
        QVERIFY(app().chat()->answering());
        const std::size_t polls = engine_->tierPolls.size();
        QTest::qWait(600);
        QCOMPARE(engine_->tierPolls.size(), polls);
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!app().chat()->answering());
    }

    void aCellOfTheMemoryShowsItsPageAndLeavesRoomForIt() {
        openDocument();
        QTRY_VERIFY(app().reading()->fraction() > 0.3);
        QTest::keyClick(win(), Qt::Key_M, Qt::ControlModifier);
        QTRY_VERIFY(app().tiers()->isOpen());
        auto* map = item("map");
        QTRY_VERIFY(map->hasActiveFocus());
        QTest::keyClick(win(), Qt::Key_Down);
        while (app().tiers()->cellAt(0, map->property("leaf").toInt()).first < 100)
            QTest::keyClick(win(), Qt::Key_Right);
        QTest::keyClick(win(), Qt::Key_Return);
        QTRY_VERIFY(app().pages()->markedPage() >= 4);  // of 25 leaves each
        auto* close = item("closeMemory");
        QTRY_VERIFY(close->mapToScene({0, 0}).y() > win()->height() * 0.4);
        click(item("wholeMemory"));
        QTRY_VERIFY(close->mapToScene({0, 0}).y() < 100);
        // And by mouse, near the end of what is read.
        QTest::mouseClick(win(), Qt::LeftButton, {}, map->mapToScene({map->width() * 0.2, 5}).toPoint());
        QTRY_VERIFY(app().pages()->markedPage() > 4);
    }

    void memoryIsChosenInTheSettingsAndSaysNothingThatWasNotMeasured() {
        openDocument();
        QTest::keyClick(win(), Qt::Key_Comma, Qt::ControlModifier);
        auto* content =
            win()->findChild<QObject*>(QStringLiteral("settingsDialog"))->property("contentItem").value<QQuickItem*>();
        QQuickItem* spare = nullptr;
        QTRY_VERIFY((spare = shown(QStringLiteral("memory0"), content)) && spare->isVisible());
        QVERIFY(QAccessible::queryAccessibleInterface(spare)
                    ->text(QAccessible::Name)
                    .endsWith(QStringLiteral("not measured yet")));
        spare->forceActiveFocus(Qt::TabFocusReason);
        QTest::keyClick(win(), Qt::Key_Space);
        const auto budgets = app().memory()->budgets()[0];
        QCOMPARE(engine_->memories.back(),
                 (std::pair<std::uint64_t, std::uint64_t>(budgets.deviceBytes, budgets.hostBytes)));
        QVERIFY(QAccessible::queryAccessibleInterface(spare)->state().checked);
        // While the document is being read nothing can be measured.
        app().memory()->measure();
        QVERIFY(!app().memory()->measuring());
        QTRY_VERIFY(shown(QStringLiteral("memoryNote"), content)->isVisible());
    }

    void whoComputesIsSaidInThePanelAndInTheSettingsAndAFailedCheckIsCopiedByKey() {
        const QString why = QStringLiteral("No NVIDIA driver is installed.");
        const auto said = [](QQuickItem* row) {
            return QAccessible::queryAccessibleInterface(row)->text(QAccessible::Name);
        };
        engine_->computes = {"cpu avx2, 4 threads", {}, why.toStdString(), {}};
        app().processor()->refresh();
        openDocument();
        QTest::keyClick(win(), Qt::Key_M, Qt::ControlModifier);
        QQuickItem* row = nullptr;
        QTRY_VERIFY((row = shown(QStringLiteral("processor"))) && row->isVisible());
        QTRY_COMPARE(said(row), QStringLiteral("Computed by: Processor. ") + why);
        QVERIFY(!shown(QStringLiteral("copyCheck"), row)->isVisible());
        engine_->computes = {"cuda NVIDIA X", "NVIDIA X", {}, {}};
        app().processor()->refresh();
        QTRY_COMPARE(said(row), QStringLiteral("Computed by: NVIDIA X"));
        QTest::keyClick(win(), Qt::Key_Escape);

        engine_->computes = {"cpu avx2, 4 threads", {}, "The GPU NVIDIA X is not used.", "wrong  swiglu\n"};
        app().processor()->refresh();
        QTest::keyClick(win(), Qt::Key_Comma, Qt::ControlModifier);
        auto* content =
            win()->findChild<QObject*>(QStringLiteral("settingsDialog"))->property("contentItem").value<QQuickItem*>();
        QTRY_VERIFY((row = shown(QStringLiteral("processor"), content)) && row->isVisible());
        QTRY_COMPARE(said(row), QStringLiteral("Computed by: Processor. The GPU NVIDIA X is not used."));
        QQuickItem* copy = shown(QStringLiteral("copyCheck"), row);
        QTRY_VERIFY(copy->isVisible());
        for (int tabs = 0; tabs < 30 && !copy->hasActiveFocus(); ++tabs) QTest::keyClick(win(), Qt::Key_Tab);
        QVERIFY(copy->hasActiveFocus());
        QTest::keyClick(win(), Qt::Key_Space);
        QCOMPARE(QApplication::clipboard()->text(), QStringLiteral("wrong  swiglu\n"));
    }

    void theMapIsATableTooWithARowForEveryLayer() {
        openDocument();
        QTest::keyClick(win(), Qt::Key_M, Qt::ControlModifier);
        QTRY_VERIFY(app().tiers()->isOpen());
        click(item("memoryTable"));
        QTRY_VERIFY(item("layerTable")->isVisible());
        QVERIFY(!item("map")->isVisible());
        QStringList names;
        QTRY_VERIFY([&] {
            names.clear();
            const auto rows = item("layerTable")->childItems();
            for (QQuickItem* row : rows)
                if (QAccessibleInterface* face = QAccessible::queryAccessibleInterface(row))
                    if (face->role() == QAccessible::Row) names << face->text(QAccessible::Name);
            return names.size() == 24;
        }());
        QVERIFY(names[4].startsWith(QStringLiteral("Layer 5, Device ")));
        QVERIFY(names[4].contains(QStringLiteral("Disk only ")));
        QVERIFY(names[4].contains(QStringLiteral("Reads ")));
        QCOMPARE(app().tiers()->layers().size(), 24);
    }

    void theMemoryPanelSaysWhenADocumentIsNotOpen() {
        openDocument();
        engine_->failures["tiers"] = Error{Code::NotFound, {}, {}};
        click(item("memory"));
        QTRY_VERIFY(!engine_->tierPolls.empty());
        QTRY_VERIFY(item("notOpen")->isVisible());
        QVERIFY(!item("summary")->isVisible());
        click(item("closeMemory"));
        QTRY_VERIFY(!app().tiers()->watching());
    }
};

int main(int argc, char** argv) {
    return runWindowTest<TestWindowMemory>(argc, argv);
}
#include "tst_window_memory.moc"
