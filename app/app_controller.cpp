#include "app_controller.h"

#include <QClipboard>
#include <QDesktopServices>
#include <QDir>
#include <QFileDialog>
#include <QGuiApplication>

#include <algorithm>

namespace carrel::app {

constexpr auto kAnnounced = std::chrono::seconds(5);  // a screen reader asks for its words within that

AppController::AppController(EnginePort& port, const AppOptions& options, QObject* parent)
    : QObject(parent),
      port_(port),
      options_(options),
      settings_(options.settingsFile),
      look_(settings_),
      library_(port, passwords_),
      reading_(port, passwords_, settings_),
      chat_(port, passwords_, [this](const QString& sha) { return reading_.canAnswer(sha); }),
      pages_(port, passwords_),
      model_(port, settings_, options.modelsFolder),
      tiers_(port) {
    chat_.nameWaitsBy(
        [this](const QString& sha) {
            const DocumentRow* row = library_.documents()->find(sha);
            return row ? QString::fromStdString(row->title) : QString();
        },
        [this] { return model_.state() == ModelController::Loaded; });
    connect(&library_, &LibraryController::documentOpened, this, [this](const DocumentRow& row) {
        const QString sha = QString::fromStdString(row.sha256);
        settings_.setLastDocument(sha);
        pages_.open(row);
        chat_.open(sha);
        reading_.open(sha);
        tiers_.setDocument(sha);
    });
    connect(&library_, &LibraryController::aboutToForget, this, [this](const QString& sha) {
        reading_.forget(sha);
        chat_.forget(sha);
        if (pages_.document() == sha) {
            pages_.close();
            tiers_.setDocument({});
        }
    });
    connect(&reading_, &ReadingController::documentChanged, library_.documents(), &LibraryModel::setReading);
    connect(&reading_, &ReadingController::answerable, &chat_, &ChatController::answerable);
    connect(&reading_, &ReadingController::needsPassword, &library_, &LibraryController::askPassword);
    connect(&pages_, &PagesController::needsPassword, &library_, &LibraryController::askPassword);
    connect(&chat_, &ChatController::sourceOpened, &pages_, &PagesController::show);
    connect(&chat_, &ChatController::firstSource, &pages_, &PagesController::show);
    connect(&model_, &ModelController::aboutToLoad, this, [this] {
        chat_.stopAll();
        reading_.modelAboutToChange();
    });
    connect(&model_, &ModelController::loaded, this, [this] { reading_.modelLoaded(model_.fingerprint()); });
    connect(&library_, &LibraryController::problem, this, &AppController::show);
    connect(&reading_, &ReadingController::problem, this, &AppController::show);
    connect(&chat_, &ChatController::problem, this, &AppController::show);
    connect(&pages_, &PagesController::problem, this, &AppController::show);
    connect(&model_, &ModelController::problem, this, &AppController::show);
    connect(&reading_, &ReadingController::remedyWanted, this, &AppController::use);
    connect(&chat_, &ChatController::announced, this, &AppController::announce);
    connect(&reading_, &ReadingController::announced, this, &AppController::announce);
    announced_.setSingleShot(true);
    announced_.setInterval(kAnnounced);
    connect(&announced_, &QTimer::timeout, this, [this] { announce({}); });
    connect(&chat_, &ChatController::remedyWanted, this, &AppController::use);
}

AppController::~AppController() {
    close();
}

void AppController::start() {
    ShownLibrary* shown = library_.shown();
    shown->setOrder(static_cast<ShownLibrary::Order>(std::clamp(settings_.libraryOrder(), 0, 3)));
    connect(shown, &ShownLibrary::changed, this, [this, shown] { settings_.setLibraryOrder(shown->order()); });
    library_.load(settings_.lastDocument());
    model_.start(options_.model);
    QList<QUrl> files;
    for (const QString& file : std::as_const(options_.files))
        files << QUrl::fromLocalFile(QDir::current().absoluteFilePath(file));
    if (!files.isEmpty()) library_.addFiles(files);
}

void AppController::close() {
    if (closed_) return;
    closed_ = true;
    delete dialog_;
    tiers_.setWatching(false);
    chat_.saveNow();
    chat_.stopAll();
    reading_.stopAll();
    library_.stop();
    port_.shutdown();
}

QFileDialog* AppController::dialog(const QString& title, const QString& filter) {
    delete dialog_;
    dialog_ = new QFileDialog(nullptr, title, settings_.openFolder(), filter);
    dialog_->setAttribute(Qt::WA_DeleteOnClose);
    connect(dialog_, &QFileDialog::filesSelected, this, [this](const QStringList& files) {
        if (!files.isEmpty()) settings_.setOpenFolder(QFileInfo(files.first()).absolutePath());
    });
    return dialog_;
}

void AppController::chooseDocuments() {
    QFileDialog* d = dialog(tr("Add documents"), tr("Documents (*.pdf *.txt *.md *.markdown);;All files (*)"));
    d->setFileMode(QFileDialog::ExistingFiles);
    connect(d, &QFileDialog::filesSelected, this, [this](const QStringList& files) {
        QList<QUrl> urls;
        for (const QString& file : files) urls << QUrl::fromLocalFile(file);
        library_.addFiles(urls);
    });
    d->open();
}

void AppController::chooseModel() {
    QFileDialog* d = dialog(tr("Choose a model"), tr("Models (*.gguf);;All files (*)"));
    d->setFileMode(QFileDialog::ExistingFile);
    connect(d, &QFileDialog::filesSelected, this, [this](const QStringList& files) {
        if (!files.isEmpty()) model_.choose(files.first());
    });
    d->open();
}

// Empty in between: what is shown anew is read out, also when it says the same again.
void AppController::announce(const QString& sentence) {
    if (!announcement_.isEmpty()) {
        announcement_.clear();
        emit announcementChanged();
    }
    if (sentence.isEmpty()) return;
    announcement_ = sentence;
    announced_.start();
    emit announcementChanged();
}

void AppController::openLink(const QString& address) {
    QDesktopServices::openUrl(QUrl(address));
}

void AppController::copy(const QString& text) {
    QGuiApplication::clipboard()->setText(text);
}

}  // namespace carrel::app
