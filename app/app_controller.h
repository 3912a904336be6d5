#pragma once

#include "chat_controller.h"
#include "library_controller.h"
#include "look.h"
#include "model_controller.h"
#include "page_heat.h"
#include "pages_controller.h"
#include "reading_controller.h"
#include "tier_controller.h"

#include <QPointer>

class QFileDialog;

namespace carrel::app {

struct AppOptions {
    QString modelsFolder;  // where choices of models are looked for
    QString model;         // loaded first; empty: the one used last, or the default
    QString settingsFile;
    QStringList files;  // to add at start
};

/// The window's controllers and how they depend on each other. GUI thread.
class AppController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("main makes it")
    Q_PROPERTY(carrel::app::LibraryController* library READ library CONSTANT)
    Q_PROPERTY(carrel::app::ReadingController* reading READ reading CONSTANT)
    Q_PROPERTY(carrel::app::ChatController* chat READ chat CONSTANT)
    Q_PROPERTY(carrel::app::PagesController* pages READ pages CONSTANT)
    Q_PROPERTY(carrel::app::PageHeat* heat READ heat CONSTANT)
    Q_PROPERTY(carrel::app::ModelController* model READ model CONSTANT)
    Q_PROPERTY(carrel::app::TierController* tiers READ tiers CONSTANT)
    Q_PROPERTY(carrel::app::Look* look READ look CONSTANT)
    Q_PROPERTY(QString problem READ problem NOTIFY problemChanged)  // a sentence; empty: none

  public:
    AppController(EnginePort& port, const AppOptions& options, QObject* parent = nullptr);
    ~AppController() override;

    LibraryController* library() { return &library_; }
    ReadingController* reading() { return &reading_; }
    ChatController* chat() { return &chat_; }
    PagesController* pages() { return &pages_; }
    PageHeat* heat() { return &heat_; }
    ModelController* model() { return &model_; }
    TierController* tiers() { return &tiers_; }
    Look* look() { return &look_; }
    Passwords& passwords() { return passwords_; }
    QString problem() const { return problem_; }

    void start();
    void close();  // saves, stops and joins all work; nothing happens afterwards

    Q_INVOKABLE void chooseDocuments();  // open dialog
    Q_INVOKABLE void chooseModel();
    Q_INVOKABLE void showProblem(const QString& sentence);
    Q_INVOKABLE void dismissProblem() { showProblem({}); }
    Q_INVOKABLE void openLink(const QString& address);  // after the person said yes
    Q_INVOKABLE void copy(const QString& text);

  signals:
    void problemChanged();

  private:
    QFileDialog* dialog(const QString& title, const QString& filter);

    EnginePort& port_;
    AppOptions options_;
    Settings settings_;
    Look look_;
    Passwords passwords_;
    LibraryController library_;
    ReadingController reading_;
    ChatController chat_;
    PagesController pages_;
    PageHeat heat_;
    ModelController model_;
    TierController tiers_;
    QString problem_;
    QPointer<QFileDialog> dialog_;
    bool closed_ = false;
};

}  // namespace carrel::app
