#include "window.h"

#include "page_image_provider.h"

#include <QDir>
#include <QGuiApplication>
#include <QIcon>
#include <QQuickStyle>
#include <QQuickWindow>

namespace carrel::app {

void prepareApplication() {
    QGuiApplication::setApplicationName(QStringLiteral("carrel"));
    QGuiApplication::setApplicationDisplayName(QStringLiteral("Carrel"));
    QGuiApplication::setDesktopFileName(QStringLiteral("org.carrel.Carrel"));
    QGuiApplication::setApplicationVersion(QStringLiteral(CARREL_VERSION));
    QQuickStyle::setStyle(QStringLiteral("Basic"));
    // Without a GPU Qt would draw with llvmpipe: nine times the CPU of its own software renderer.
    const bool gpu = !QDir(QStringLiteral("/dev/dri")).entryList({QStringLiteral("renderD*")}, QDir::System).isEmpty();
    if (!gpu && qEnvironmentVariableIsEmpty("QT_QUICK_BACKEND")) qputenv("QT_QUICK_BACKEND", "software");
}

Window::Window(EnginePort& port, const AppOptions& options)
    : controller_(std::make_unique<AppController>(port, options)), qml_(std::make_unique<QQmlApplicationEngine>()) {
    QGuiApplication::setWindowIcon(QIcon(QStringLiteral(":/carrel/icon.png")));
    qml_->addImportPath(QStringLiteral("qrc:/qt/qml"));
    qml_->addImageProvider(
        QStringLiteral("page"),
        new PageImageProvider(port, controller_->passwords(), controller_->pageImages(),
                              [pages = controller_->pages()](const QString& document, int page, const Status& status) {
                                  pages->drawn(document, page, status);
                              }));
    qml_->setInitialProperties({{QStringLiteral("app"), QVariant::fromValue(controller_.get())}});
    qml_->load(QUrl(QStringLiteral("qrc:/qt/qml/Carrel/Main.qml")));
    controller_->start();
}

Window::~Window() {
    controller_->close();
    qml_.reset();
}

QQuickWindow* Window::window() const {
    return qml_->rootObjects().isEmpty() ? nullptr : qobject_cast<QQuickWindow*>(qml_->rootObjects().constFirst());
}

}  // namespace carrel::app
