// carrel-offline [--without-model] [FILE...]: Carrel's window on ScriptedEngine, to look at and to work on the window
// without a model.
#include "app/window.h"
#include "demo_script.h"

#include <QApplication>
#include <QTemporaryDir>

using namespace carrel::app;

int main(int argc, char** argv) {
    prepareApplication();
    QApplication qt(argc, argv);
    const QTemporaryDir settings;
    const auto engine = demoEngine();
    AppOptions options;
    QStringList files = QCoreApplication::arguments().mid(1);
    if (files.removeAll(QStringLiteral("--without-model")) == 0)
        options.model = QStringLiteral("/demo/Qwen2.5 Coder 0.5B Instruct.gguf");
    options.settingsFile = settings.filePath(QStringLiteral("window.ini"));
    options.files = files;
    Window window(*engine, options);
    return window.window() ? QApplication::exec() : 1;
}
