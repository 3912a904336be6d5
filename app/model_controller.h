#pragma once

#include "engine_port.h"
#include "error_text.h"
#include "settings.h"

#include <QtQml/qqmlregistration.h>
#include <QUrl>
#include <QVariantList>

namespace carrel::app {

/// The language model: which one is loaded, which others lie in the models folder and why one cannot be used.
class ModelController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(State state READ state NOTIFY changed)
    Q_PROPERTY(QString name READ name NOTIFY changed)  // of the loaded one, or a sentence fragment
    Q_PROPERTY(QString note READ note NOTIFY changed)  // how it is asked, where that is not its own way; else empty
    Q_PROPERTY(QString file READ file NOTIFY changed)
    Q_PROPERTY(QVariantList choices READ choices NOTIFY choicesChanged)  // {file, name, detail, usable, current}

  public:
    enum State { None, Loading, Loaded, Failed };
    Q_ENUM(State)

    ModelController(EnginePort& port, Settings& settings, const QString& modelsFolder, QObject* parent = nullptr);

    State state() const { return state_; }
    QString name() const;
    QString note() const { return note_; }
    QString file() const { return file_; }
    QVariantList choices() const;
    QString fingerprint() const { return fingerprint_; }  // of the loaded one's weights

    /// Loads `file`, or else the one used last, or else the catalog's default where it lies on disk.
    void start(const QString& file);

    Q_INVOKABLE void choose(const QString& file);
    Q_INVOKABLE void lookAround();  // fills choices from the models folder

  signals:
    void changed();
    void choicesChanged();
    void aboutToLoad();  // readings and turns must stop now
    void loaded();
    void problem(const carrel::app::Problem& problem);

  private:
    struct Choice {
        QString file, name, detail;
        bool usable = false;
    };
    void load(const QString& file);
    void inspected(const QString& file, const Result<ModelInfo>& info);

    EnginePort& port_;
    Settings& settings_;
    QString folder_, file_, name_, note_, fingerprint_;
    State state_ = None;
    QList<Choice> choices_;
};

}  // namespace carrel::app
