#pragma once

#include "engine_port.h"
#include "error_text.h"
#include "settings.h"

#include <QtQml/qqmlregistration.h>
#include <QStringList>
#include <QVariantList>

#include <optional>

namespace carrel::app {

struct ModelOptions {
    std::vector<ModelPlace> places;   // besides the folders of the settings
    std::optional<unsigned> threads;  // as the command line has it: the settings' number is not used then
};

/// The language model: which one is loaded, which others lie on this computer and what each would do here.
///
/// Start: the file given, or the one used last, or the default where it lies in a folder of Carrel's; else all places
/// are looked through, and the one that fits is taken if there is exactly one. Otherwise the person chooses: `missing`
/// says so.
class ModelController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(State state READ state NOTIFY changed)
    Q_PROPERTY(QString name READ name NOTIFY changed)  // of the loaded one, or a sentence fragment
    Q_PROPERTY(QString note READ note NOTIFY changed)  // how it is asked, where that is not its own way; else empty
    Q_PROPERTY(QString file READ file NOTIFY changed)
    // Best first: {file, name, detail, fit, usable, current}; fit: a word for its pill, or empty
    Q_PROPERTY(QVariantList choices READ choices NOTIFY choicesChanged)
    Q_PROPERTY(bool looking READ looking NOTIFY choicesChanged)
    Q_PROPERTY(QString missing READ missing NOTIFY choicesChanged)      // why one cannot ask; empty: one can, or soon
    Q_PROPERTY(QStringList folders READ folders NOTIFY foldersChanged)  // the person's own, to look in
    Q_PROPERTY(int threads READ threads WRITE setThreads NOTIFY threadsChanged)  // from the next model on; 0: per core
    Q_PROPERTY(int mostThreads READ mostThreads CONSTANT)
    Q_PROPERTY(bool threadsGiven READ threadsGiven CONSTANT)  // by the command line: not to be set here

  public:
    enum State { None, Loading, Loaded, Failed };
    Q_ENUM(State)

    ModelController(EnginePort& port, Settings& settings, ModelOptions options, QObject* parent = nullptr);

    State state() const { return state_; }
    QString name() const;
    QString note() const { return note_; }
    QString file() const { return file_; }
    QVariantList choices() const;
    bool looking() const { return looking_; }
    QString missing() const;
    QStringList folders() const { return settings_.modelFolders(); }
    int threads() const;
    int mostThreads() const;
    bool threadsGiven() const { return options_.threads.has_value(); }
    void setThreads(int threads);
    QString fingerprint() const { return fingerprint_; }  // of the loaded one's weights

    void start(const QString& file);
    void stop();  // looking

    Q_INVOKABLE void choose(const QString& file);
    Q_INVOKABLE void lookAround();  // fills choices
    void addFolder(const QString& folder);
    Q_INVOKABLE void removeFolder(const QString& folder);

  signals:
    void changed();
    void choicesChanged();
    void foldersChanged();
    void threadsChanged();
    void aboutToLoad();  // readings and turns must stop now
    void loaded();
    void problem(const carrel::app::Problem& problem);

  private:
    void load(const QString& file);
    void found(const Result<FoundModels>& models);
    void takeTheOneThatFits();
    QString defaultModel() const;  // where it lies; empty: nowhere
    std::vector<ModelPlace> places() const;

    EnginePort& port_;
    Settings& settings_;
    ModelOptions options_;
    QString file_, name_, note_, fingerprint_;
    State state_ = None;
    std::vector<FoundModel> choices_;
    bool looking_ = false, taking_ = false;
    std::stop_source stop_;
};

}  // namespace carrel::app
