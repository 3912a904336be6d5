#pragma once

#include "settings.h"

#include <QtQml/qqmlregistration.h>
#include <QObject>

#include <algorithm>

namespace carrel::app {

/// How the window looks, as the person chose it; kept in the settings.
class Look : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(int textPercent READ textPercent WRITE setTextPercent NOTIFY changed)  // 80 to 200 of the system's size
    Q_PROPERTY(Shade shade READ shade WRITE setShade NOTIFY changed)
    // As the window was when it was last closed; empty: never.
    Q_PROPERTY(QSize windowSize READ windowSize CONSTANT)
    Q_PROPERTY(bool maximized READ maximized CONSTANT)
    // Of panes whose width the person changed; 0: as usual.
    Q_PROPERTY(int libraryWidth READ libraryWidth WRITE setLibraryWidth NOTIFY changed)
    Q_PROPERTY(int pagesWidth READ pagesWidth WRITE setPagesWidth NOTIFY changed)

  public:
    enum Shade { System, Light, Dark };
    Q_ENUM(Shade)
    static constexpr int kLeastPercent = 80, kMostPercent = 200;

    explicit Look(Settings& settings, QObject* parent = nullptr) : QObject(parent), settings_(settings) {}

    int textPercent() const { return std::clamp(settings_.textPercent(), kLeastPercent, kMostPercent); }
    Shade shade() const { return static_cast<Shade>(std::clamp(settings_.shade(), 0, 2)); }
    void setTextPercent(int percent) {
        settings_.setTextPercent(std::clamp(percent, kLeastPercent, kMostPercent));
        emit changed();
    }
    QSize windowSize() const { return settings_.windowSize(); }
    bool maximized() const { return settings_.maximized(); }
    Q_INVOKABLE void keepWindow(const QSize& size, bool maximized) {
        if (!maximized) settings_.setWindowSize(size);
        settings_.setMaximized(maximized);
    }
    int libraryWidth() const { return settings_.libraryWidth(); }
    int pagesWidth() const { return settings_.pagesWidth(); }
    void setLibraryWidth(int width) {
        settings_.setLibraryWidth(width);
        emit changed();
    }
    void setPagesWidth(int width) {
        settings_.setPagesWidth(width);
        emit changed();
    }
    void setShade(Shade shade) {
        settings_.setShade(shade);
        emit changed();
    }

  signals:
    void changed();

  private:
    Settings& settings_;
};

}  // namespace carrel::app
