#pragma once

#include "chat_controller.h"
#include "data_mover.h"
#include "disk_controller.h"
#include "library_controller.h"
#include "library_find.h"
#include "look.h"
#include "memory_controller.h"
#include "model_controller.h"
#include "page_heat.h"
#include "page_images.h"
#include "pages_controller.h"
#include "processor_controller.h"
#include "reading_controller.h"
#include "tier_controller.h"

#include <QPointer>

class QFileDialog;

namespace carrel::app {

struct AppOptions {
    ModelOptions models;
    QString model;  // loaded first; empty: ModelController's choice
    QString settingsFile;
    QString dataFolder;
    MoveData moveData;                                              // empty: the folder was given and stays there
    QString notice;                                                 // a sentence to begin with
    QStringList files;                                              // to add at start
    std::chrono::milliseconds undoTime = std::chrono::seconds(10);  // of what was forgotten
    std::uint64_t memoryBytes = MemoryController::installedMemory();
    bool ownBudgets = false;  // the engine has its budgets from elsewhere, for this run
};

/// The window's controllers and how they depend on each other. GUI thread.
class AppController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("main makes it")
    Q_PROPERTY(carrel::app::LibraryController* library READ library CONSTANT)
    Q_PROPERTY(carrel::app::LibraryFind* finding READ finding CONSTANT)
    Q_PROPERTY(carrel::app::ReadingController* reading READ reading CONSTANT)
    Q_PROPERTY(carrel::app::ChatController* chat READ chat CONSTANT)
    Q_PROPERTY(carrel::app::PagesController* pages READ pages CONSTANT)
    Q_PROPERTY(carrel::app::PageHeat* heat READ heat CONSTANT)
    Q_PROPERTY(carrel::app::ModelController* model READ model CONSTANT)
    Q_PROPERTY(carrel::app::TierController* tiers READ tiers CONSTANT)
    Q_PROPERTY(carrel::app::DiskController* disk READ disk CONSTANT)
    Q_PROPERTY(carrel::app::DataMover* mover READ mover CONSTANT)
    Q_PROPERTY(carrel::app::MemoryController* memory READ memory CONSTANT)
    Q_PROPERTY(carrel::app::ProcessorController* processor READ processor CONSTANT)
    Q_PROPERTY(carrel::app::Look* look READ look CONSTANT)
    Q_PROPERTY(QString announcement READ announcement NOTIFY announcementChanged)  // for screen readers; empty: none
    Q_PROPERTY(QString problem READ problem NOTIFY problemChanged)                 // a sentence; empty: none
    Q_PROPERTY(QString remedy READ remedy NOTIFY problemChanged)  // what to do about it, on a button; empty: nothing

  public:
    AppController(EnginePort& port, const AppOptions& options, QObject* parent = nullptr);
    ~AppController() override;

    LibraryController* library() { return &library_; }
    LibraryFind* finding() { return &finding_; }
    ReadingController* reading() { return &reading_; }
    ChatController* chat() { return &chat_; }
    PagesController* pages() { return &pages_; }
    PageHeat* heat() { return &heat_; }
    ModelController* model() { return &model_; }
    TierController* tiers() { return &tiers_; }
    DiskController* disk() { return &disk_; }
    DataMover* mover() { return &mover_; }
    MemoryController* memory() { return &memory_; }
    ProcessorController* processor() { return &processor_; }
    Look* look() { return &look_; }
    Passwords& passwords() { return passwords_; }
    std::shared_ptr<PageImages> pageImages() { return pageImages_; }
    QString problem() const { return problem_.text; }
    QString remedy() const { return problem_.remedy == Remedy::Close ? QString() : remedyText(problem_.remedy); }
    QString announcement() const { return announcement_; }
    void announce(const QString& sentence);  // said once, and gone after a while
    void show(const Problem& problem);
    QString report() const;  // report.h, of the last failure

    void start();
    void close();  // saves, stops and joins all work; nothing happens afterwards

    Q_INVOKABLE void chooseDocuments();  // open dialog
    Q_INVOKABLE void chooseModel();
    Q_INVOKABLE void chooseDataFolder();
    Q_INVOKABLE void chooseModelFolder();
    Q_INVOKABLE void showProblem(const QString& sentence);
    Q_INVOKABLE void dismissProblem();
    Q_INVOKABLE void useRemedy();  // of the problem shown, which goes
    Q_INVOKABLE void copyReport();
    Q_INVOKABLE void openLink(const QString& address);  // after the person said yes
    Q_INVOKABLE void copy(const QString& text);

  signals:
    void problemChanged();
    void reopenWanted(const QString& sentence);  // close this window, open another and say so
    void announcementChanged();
    void spaceWanted();  // the library shows what is largest

  private:
    void evicted(const QString& sha, quint64 bytes);
    MemoryController::Subject measurable();
    void use(const Problem& problem);
    void remember(const Problem& problem);
    QFileDialog* dialog(const QString& title, const QString& filter);
    void chooseFolder(const QString& title, std::function<void(const QString&)> use);

    EnginePort& port_;
    AppOptions options_;
    Settings settings_;
    Look look_;
    Passwords passwords_;
    LibraryController library_;
    LibraryFind finding_;
    ReadingController reading_;
    ChatController chat_;
    PagesController pages_;
    PageHeat heat_;
    ModelController model_;
    TierController tiers_;
    MemoryController memory_;
    ProcessorController processor_;
    DiskController disk_;
    DataMover mover_;
    std::shared_ptr<PageImages> pageImages_ = std::make_shared<PageImages>();  // the image provider's, too
    QStringList evicted_;                                                      // named in the problem that is shown
    QString announcement_;
    QTimer announced_;
    Problem problem_, last_;  // shown; and the last one that is an error
    QPointer<QFileDialog> dialog_;
    bool closed_ = false;
};

}  // namespace carrel::app
