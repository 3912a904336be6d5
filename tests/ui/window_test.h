#pragma once

#include "app/window.h"
#include "tests/support/demo_script.h"

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QMimeData>
#include <QQuickItem>
#include <QQuickWindow>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

namespace carrel::app {

/// The whole window on ScriptedEngine, by mouse and keyboard; anew for every test.
class WindowTest : public QObject {
    Q_OBJECT

  protected:
    std::unique_ptr<QTemporaryDir> folder_;
    std::unique_ptr<ScriptedEngine> engine_;
    std::unique_ptr<Window> window_;

    QQuickWindow* win() { return window_->window(); }
    AppController& app() { return window_->controller(); }
    QQuickItem* item(const char* name) { return win()->findChild<QQuickItem*>(QString::fromLatin1(name)); }
    QQuickItem* shown(const QString& name, QQuickItem* under = nullptr) {
        if (!under) under = win()->contentItem();
        for (QQuickItem* child : under->childItems()) {
            if (child->objectName() == name) return child;
            if (QQuickItem* found = shown(name, child)) return found;
        }
        return nullptr;
    }
    void click(QQuickItem* target) {
        QVERIFY(target);
        QTRY_VERIFY(target->isVisible());
        QSignalSpy frame(win(), &QQuickWindow::afterRendering);  // layouts move things before a frame
        win()->update();
        frame.wait(1000);
        QTest::mouseClick(win(), Qt::LeftButton, {},
                          target->mapToScene({target->width() / 2, target->height() / 2}).toPoint());
    }
    void type(const char* text) {
        for (; *text; ++text) QTest::keyClick(win(), *text);
    }
    /// Where a place of a page (points) is on screen.
    QPoint onPage(int page, double x, double y) {
        QQuickItem* list = item("pages");
        for (QQuickItem* child : list->property("contentItem").value<QQuickItem*>()->childItems())
            if (child->property("page").toInt() == page && child->property("pointWidth").isValid()) {
                const double scaling = child->width() / child->property("pointWidth").toDouble();
                return child->mapToScene({x * scaling, y * scaling}).toPoint();
            }
        return {};
    }
    void drag(const QPoint& from, const QPoint& to) {
        QTest::mousePress(win(), Qt::LeftButton, {}, from);
        QTest::mouseMove(win(), (from + to) / 2);
        QTest::mouseMove(win(), to);
        QTest::mouseRelease(win(), Qt::LeftButton, {}, to);
    }
    void openDocument() {
        app().library()->addFiles({QUrl::fromLocalFile(QStringLiteral("/x/Field notes.pdf"))});
        QTRY_VERIFY(!app().chat()->current().isEmpty());
        QTRY_VERIFY(app().reading()->fraction() > 0);
    }

    void start() {
        AppOptions options;
        options.model = QStringLiteral("/demo/model.gguf");
        options.settingsFile = folder_->filePath(QStringLiteral("window.ini"));
        window_ = std::make_unique<Window>(*engine_, options);
        QVERIFY(win());
        win()->requestActivate();
        QVERIFY(QTest::qWaitForWindowActive(win()));
    }

    /// Closed as by its button, and opened again with the same documents and settings.
    void restart() {
        win()->close();
        window_.reset();
        const auto rows = engine_->rows;
        engine_ = demoEngine();
        engine_->rows = rows;
        start();
    }

    void restartWithoutModel() {
        window_.reset();
        engine_ = demoEngine();
        AppOptions options;
        options.settingsFile = folder_->filePath(QStringLiteral("none.ini"));
        window_ = std::make_unique<Window>(*engine_, options);
        win()->requestActivate();
        QVERIFY(QTest::qWaitForWindowActive(win()));
    }

  private slots:
    void init() {
        folder_ = std::make_unique<QTemporaryDir>();
        engine_ = demoEngine();
        start();
    }
    void cleanup() {
        window_.reset();
        engine_.reset();
    }
};

/// main() of a program of such tests.
template <class Test>
int runWindowTest(int argc, char** argv) {
    prepareApplication();
    QApplication qt(argc, argv);
    Test test;
    return QTest::qExec(&test, argc, argv);
}

}  // namespace carrel::app
