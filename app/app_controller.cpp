#include "app_controller.h"

#include "words.h"

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
      library_(port, passwords_,
               {options.dataFolder, [this](const QString& sha) { return settings_.paused(sha); }, options.undoTime}),
      finding_(port, *library_.documents()),
      reading_(port, passwords_, settings_),
      chat_(port, passwords_, [this](const QString& sha) { return reading_.canAnswer(sha); }),
      pages_(port, passwords_),
      model_(port, settings_, options.models),
      tiers_(port),
      memory_(port, settings_, options.memoryBytes, [this] { return measurable(); }),
      processor_(port),
      disk_(port, settings_),
      mover_(options.dataFolder, options.moveData) {
    const auto title = [this](const QString& sha) {
        const DocumentRow* row = library_.documents()->find(sha);
        return row ? QString::fromStdString(row->title) : tr("a document that is no longer here");
    };
    reading_.nameDocumentsBy(title);
    chat_.nameWaitsBy(title, [this] { return model_.state() == ModelController::Loaded; });
    connect(&library_, &LibraryController::documentOpened, this, [this](const DocumentRow& row) {
        const QString sha = QString::fromStdString(row.sha256);
        settings_.setLastDocument(sha);
        pages_.open(row, settings_.place(sha));
        heat_.setDocument(row);
        chat_.conversation()->setDocument(QString::fromStdString(row.title), row.pagesWithoutText);
        chat_.open(sha);
        reading_.open(sha, row.pagesWithoutText);
        tiers_.setDocument(sha);
    });
    connect(&library_, &LibraryController::aboutToForget, this, [this](const QString& sha) {
        reading_.forget(sha);
        chat_.hide(sha);
        pageImages_->forget(sha);
        if (pages_.document() == sha) {
            pages_.close();
            tiers_.setDocument({});
        }
    });
    connect(&finding_, &LibraryFind::hitWanted, this,
            [this](const QString& sha, const QString& words, int page, quint64 byte) {
                library_.open(sha);
                if (pages_.document() == sha) pages_.showWords(words, page, byte);
            });
    connect(&finding_, &LibraryFind::problem, this, &AppController::show);
    connect(&library_, &LibraryController::forgotten, this, [this](const QString& sha) { settings_.forget(sha); });
    connect(&library_, &LibraryController::forgotten, &chat_, &ChatController::forget);
    connect(&library_, &LibraryController::readingHidden, &reading_, &ReadingController::hide);
    connect(&library_, &LibraryController::readingKept, &reading_, &ReadingController::keep);
    connect(&library_, &LibraryController::readingGone, &reading_, &ReadingController::gone);
    connect(&reading_, &ReadingController::keepWanted, &library_,
            [this](const QString& sha) { library_.forgetting()->keep(Forgetting::Reading, sha); });
    connect(&chat_, &ChatController::answeringChanged, this, [this] { reading_.setAnswering(chat_.answering()); });
    connect(&reading_, &ReadingController::documentChanged, library_.documents(), &LibraryModel::setReading);
    connect(&reading_, &ReadingController::answerable, &chat_, &ChatController::answerable);
    connect(&reading_, &ReadingController::needsPassword, &library_, &LibraryController::askPassword);
    connect(&pages_, &PagesController::needsPassword, &library_, &LibraryController::askPassword);
    connect(&chat_, &ChatController::sourceOpened, &pages_, &PagesController::show);
    connect(&chat_, &ChatController::turnShown, &heat_, &PageHeat::show);
    connect(&chat_, &ChatController::firstSource, &pages_, &PagesController::show);
    connect(&pages_, &PagesController::placeLeft, this, [this](const QString& sha, int row, double down) {
        settings_.setPlace(sha, {row, down});
    });
    connect(&tiers_, &TierController::pageFound, &pages_, &PagesController::show);
    connect(&model_, &ModelController::aboutToLoad, this, [this] {
        chat_.stopAll();
        reading_.modelAboutToChange();
    });
    connect(&model_, &ModelController::loaded, this, [this] { reading_.modelLoaded(model_.fingerprint()); });
    connect(&model_, &ModelController::loaded, &library_, &LibraryController::refresh);
    connect(&port_, &EnginePort::readingEvicted, this, &AppController::evicted);
    connect(&mover_, &DataMover::problem, this, &AppController::showProblem);
    connect(&mover_, &DataMover::aboutToMove, this, [this] {
        close();
        settings_.save();
    });
    connect(&mover_, &DataMover::ended, this, &AppController::reopenWanted);
    connect(&disk_, &DiskController::problem, this, &AppController::show);
    // What else is asked or read takes part of the time: a figure would be wrong.
    connect(&chat_, &ChatController::answeringChanged, &memory_, &MemoryController::stop);
    connect(&model_, &ModelController::aboutToLoad, &memory_, &MemoryController::stop);
    connect(&model_, &ModelController::loaded, &memory_, &MemoryController::changed);
    connect(&model_, &ModelController::loaded, &processor_, &ProcessorController::refresh);
    // A GPU may fail at any time.
    connect(&port, &EnginePort::answered, &processor_, &ProcessorController::refresh);
    connect(&port, &EnginePort::turnFailed, &processor_, &ProcessorController::refresh);
    connect(&port, &EnginePort::readingEnded, &processor_, &ProcessorController::refresh);
    connect(&processor_, &ProcessorController::changed, &memory_, &MemoryController::changed);
    connect(&processor_, &ProcessorController::changed, this, [this] { reading_.computesOn(processor_.gpu()); });
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

/// The open document, where all of it is read and nothing is asked.
MemoryController::Subject AppController::measurable() {
    MemoryController::Subject out{{}, {}, model_.file(), processor_.gpu()};
    const bool read = reading_.state() == ReadingController::Ready || reading_.state() == ReadingController::Partly;
    if (!read || chat_.answering()) return out;
    out.document = library_.current().toStdString();
    out.password = passwords_.of(out.document);
    return out;
}

void AppController::start() {
    showProblem(options_.notice);
    if (!options_.ownBudgets) memory_.start();
    ShownLibrary* shown = library_.shown();
    shown->setOrder(static_cast<ShownLibrary::Order>(std::clamp(settings_.libraryOrder(), 0, 3)));
    connect(shown, &ShownLibrary::changed, this, [this, shown] { settings_.setLibraryOrder(shown->order()); });
    library_.load(settings_.lastDocument());
    model_.start(options_.model);
    processor_.refresh();
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
    model_.stop();
    memory_.stop();
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

void AppController::chooseFolder(const QString& title, std::function<void(const QString&)> use) {
    QFileDialog* d = dialog(title, {});
    d->setFileMode(QFileDialog::Directory);
    d->setOption(QFileDialog::ShowDirsOnly);
    connect(d, &QFileDialog::filesSelected, this, [use = std::move(use)](const QStringList& folders) {
        if (!folders.isEmpty()) use(folders.first());
    });
    d->open();
}

void AppController::chooseDataFolder() {
    chooseFolder(tr("Where Carrel's data is to be"), [this](const QString& folder) { mover_.choose(folder); });
}

void AppController::chooseModelFolder() {
    chooseFolder(tr("A folder with models"), [this](const QString& folder) { model_.addFolder(folder); });
}

// Several at once are named together.
void AppController::evicted(const QString& sha, quint64 bytes) {
    const DocumentRow* row = library_.documents()->find(sha);
    const QString title = row ? QString::fromStdString(row->title) : tr("a document that is no longer here");
    evicted_ << tr("“%1” (%2)").arg(title, bytesText(bytes));
    reading_.evicted(sha);
    library_.refresh();
    disk_.refresh();
    showProblem(
        tr("To make room on the disk, Carrel let go of what was read of %1. The text and the chats stay; it can be "
           "read again.")
            .arg(evicted_.join(QStringLiteral(", "))));
}

void AppController::dismissProblem() {
    evicted_.clear();
    showProblem({});
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
