#pragma once

#include "app/window.h"

#include <QDeadlineTimer>
#include <QDir>
#include <QQuickItem>
#include <QQuickWindow>
#include <QTest>

#include <cstdio>
#include <functional>

namespace carrel::app {

/// A window that is driven from outside, and the pictures taken of it.
class Stage {
  public:
    Stage(Window& window, const QDir& folder, int settleMs) : window_(window), folder_(folder), settleMs_(settleMs) {}

    AppController& app() { return window_.controller(); }
    QQuickWindow* win() { return window_.window(); }

    static bool waitFor(const std::function<bool()>& done, int seconds) {
        QDeadlineTimer deadline(seconds * 1000);
        while (!done() && !deadline.hasExpired()) wait(20);
        return done();
    }
    static void wait(int ms) { QTest::qWait(ms); }  // mostly asleep: what computes meanwhile has the processor

    bool shot(const char* name) {
        wait(settleMs_);
        const QString file = folder_.filePath(QString::fromLatin1(name) + QStringLiteral(".png"));
        if (!win()->grabWindow().save(file)) return std::fprintf(stderr, "%s was not saved\n", qPrintable(file)), false;
        return std::printf("%s\n", qPrintable(file)), true;
    }
    bool fail(const char* why) {
        std::fprintf(stderr, "shots: %s (%s)\n", why, qPrintable(app().problem()));
        return false;
    }

    template <class T = QQuickItem>
    T* named(const char* name) {
        auto* found = win()->findChild<T*>(QString::fromLatin1(name));
        if (!found) std::fprintf(stderr, "shots: there is no %s\n", name);
        return found;
    }
    /// One of a view's items, which are nobody's QObject children.
    QQuickItem* shown(const QString& name, QQuickItem* under = nullptr) {
        const auto children = (under ? under : win()->contentItem())->childItems();
        for (QQuickItem* child : children) {
            if (child->objectName() == name && child->isVisible()) return child;
            if (QQuickItem* found = shown(name, child)) return found;
        }
        return nullptr;
    }
    void call(const char* object, const char* method) {
        auto* found = named<QObject>(object);
        if (found && !QMetaObject::invokeMethod(found, method))
            std::fprintf(stderr, "shots: no %s.%s\n", object, method);
    }
    void click(const char* button) { call(button, "clicked"); }
    void press(QQuickItem* at, Qt::MouseButton button = Qt::LeftButton) {
        if (!at) return;
        QTest::mouseClick(win(), button, {}, at->mapToScene({at->width() / 2, at->height() / 2}).toPoint());
    }
    void focus(QQuickItem* on) {
        if (on) on->forceActiveFocus(Qt::TabFocusReason);
    }
    void key(Qt::Key key, Qt::KeyboardModifiers with = {}) { QTest::keyClick(win(), key, with); }

  private:
    Window& window_;
    QDir folder_;
    int settleMs_;  // page images and short animations
};

}  // namespace carrel::app
