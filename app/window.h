#pragma once

#include "app_controller.h"

#include <QQmlApplicationEngine>

#include <memory>

class QQuickWindow;

namespace carrel::app {

/// What every program with Carrel's window sets before its first QObject on screen: names, style, renderer.
void prepareApplication();

/// The window and its controllers on an engine port. Lives in main, is closed before main ends.
class Window {
  public:
    Window(EnginePort& port, const AppOptions& options);
    ~Window();

    AppController& controller() { return *controller_; }
    QQuickWindow* window() const;  // null where QML could not be loaded

  private:
    std::unique_ptr<AppController> controller_;
    std::unique_ptr<QQmlApplicationEngine> qml_;  // goes first: its items point to controllers
};

}  // namespace carrel::app
