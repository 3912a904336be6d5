#include "window_test.h"

using namespace carrel;
using namespace carrel::app;

// The keyboard everywhere, and what a screen reader hears.
class TestWindowKeys : public WindowTest {
    Q_OBJECT

  private slots:
    void f1ListsTheKeysAndEscapeClosesTheList() {
        QObject* dialog = win()->findChild<QObject*>(QStringLiteral("keysDialog"));
        QVERIFY(dialog);
        QTest::keyClick(win(), Qt::Key_F1);
        QTRY_VERIFY(dialog->property("opened").toBool());
        QTRY_VERIFY(item("keys")->property("count").toInt() > 15);
        QTest::keyClick(win(), Qt::Key_Escape);
        QTRY_VERIFY(!dialog->property("visible").toBool());
    }

    void theWindowsKeysWorkWhileASourceIsShownAndWhileTheMemoryIs() {
        openDocument();
        app().chat()->ask(QStringLiteral("Why?"));
        QTRY_VERIFY(app().chat()->answering());
        QTRY_VERIFY_WITH_TIMEOUT(!app().chat()->answering(), 20000);
        QQuickItem* chip = nullptr;
        QTRY_VERIFY((chip = shown(QStringLiteral("source1"))));
        chip->forceActiveFocus(Qt::TabFocusReason);
        QTRY_VERIFY(chip->property("cardShown").toBool());
        QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier);
        QTRY_VERIFY(item("findWords")->hasActiveFocus());
        QTest::keyClick(win(), Qt::Key_M, Qt::ControlModifier);
        auto* memory = win()->findChild<QObject*>(QStringLiteral("memoryPanel"));
        QTRY_VERIFY(memory->property("opened").toBool());
        QTest::keyClick(win(), Qt::Key_L, Qt::ControlModifier);
        QTRY_VERIFY(item("composer")->hasActiveFocus());
        QTest::keyClick(win(), Qt::Key_M, Qt::ControlModifier);
        QTRY_VERIFY(!memory->property("visible").toBool());
    }

    void f6GoesThroughThePanesAndBack() {
        openDocument();
        QSet<QQuickItem*> seen;
        for (int i = 0; i < 4; ++i) {
            QTest::keyClick(win(), Qt::Key_F6);
            QVERIFY(win()->activeFocusItem());
            seen << win()->activeFocusItem();
        }
        QCOMPARE(seen.size(), 4);
    }

    void whatTabReachesEverywhereHasANameAndARole_data() {
        QTest::addColumn<QString>("place");
        for (const char* place : {"empty", "document", "answered", "find", "page", "problem", "memoryPanel",
                                  "settingsDialog", "keysDialog", "questionsDialog", "password", "chats", "model"})
            QTest::newRow(place) << QString::fromLatin1(place);
    }

    void whatTabReachesEverywhereHasANameAndARole() {
        QFETCH(const QString, place);
        QAccessible::setActive(true);
        if (place != QLatin1String("empty")) openDocument();
        if (place == QLatin1String("answered")) {
            app().chat()->ask(QStringLiteral("Why?"));
            QTRY_VERIFY(app().chat()->answering());
            QTRY_VERIFY_WITH_TIMEOUT(!app().chat()->answering(), 20000);
        }
        if (place == QLatin1String("find")) QTest::keyClick(win(), Qt::Key_F, Qt::ControlModifier);
        if (place == QLatin1String("page")) QTest::keyClick(win(), Qt::Key_G, Qt::ControlModifier);
        if (place == QLatin1String("problem")) {
            engine_->failures["add"] = Error{Code::Io, {}, {}};
            app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Broken.pdf"))});
            QTRY_VERIFY(item("remedy")->isVisible());
        }
        if (place == QLatin1String("password")) {
            app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/enc.pdf"))});
            QTRY_VERIFY(item("password")->hasActiveFocus());
        }
        if (place == QLatin1String("chats") || place == QLatin1String("model")) click(item(qPrintable(place)));
        if (place.endsWith(QLatin1String("Panel")) || place.endsWith(QLatin1String("Dialog"))) {
            auto* dialog = win()->findChild<QObject*>(place);
            QVERIFY(dialog && QMetaObject::invokeMethod(dialog, "open"));
            QTRY_VERIFY(dialog->property("opened").toBool());
        }
        QSet<QQuickItem*> seen;
        for (int i = 0; i < 80; ++i) {
            QTest::keyClick(win(), Qt::Key_Tab);
            QQuickItem* focus = win()->activeFocusItem();
            QVERIFY(focus);
            if (seen.contains(focus)) break;
            seen << focus;
            QAccessibleInterface* a = QAccessible::queryAccessibleInterface(focus);
            const QByteArray what = QByteArray(focus->metaObject()->className()) + ' ' + focus->objectName().toUtf8();
            QVERIFY2(a, what);
            const auto words = a->state().passwordEdit ? QAccessible::Description : QAccessible::Name;
            QVERIFY2(!a->text(words).trimmed().isEmpty(), what);
            QVERIFY2(a->role() != QAccessible::NoRole && a->role() != QAccessible::Client, what);
        }
        const bool window = place == QLatin1String("document") || place == QLatin1String("answered");
        QVERIFY2(seen.size() >= (window ? 6 : 1), qPrintable(QString::number(seen.size())));
    }

    // A screen reader hears of what appears, by the name it has then.
    void anAnswerThatHasEndedIsReadOut() {
        auto* announcer = win()->findChild<QQuickItem*>(QStringLiteral("announcer"));
        QVERIFY(announcer);
        QStringList heard;
        connect(announcer, &QQuickItem::visibleChanged, this, [&heard, announcer] {
            QAccessibleInterface* a = QAccessible::queryAccessibleInterface(announcer);
            if (announcer->isVisible() && a && a->role() == QAccessible::AlertMessage)
                heard << a->text(QAccessible::Name);
        });
        openDocument();
        for (int i = 1; i < 3; ++i) {
            app().chat()->ask(QStringLiteral("Why?"));
            QTRY_VERIFY(app().chat()->answering());
            QTRY_VERIFY_WITH_TIMEOUT(!app().chat()->answering(), 20000);
            QTRY_COMPARE(heard.count(QStringLiteral("Answer finished")), i);
        }
    }
};

int main(int argc, char** argv) {
    return runWindowTest<TestWindowKeys>(argc, argv);
}
#include "tst_window_keys.moc"
