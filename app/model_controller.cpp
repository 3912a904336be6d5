#include "model_controller.h"

#include "model_words.h"

#include <QDir>
#include <QFileInfo>
#include <QThread>

#include <algorithm>

namespace carrel::app {

constexpr char kDefaultModel[] = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";  // models/catalog.json

namespace {

QString fileOf(const FoundModel& model) {
    return QString::fromStdString(model.file.string());
}

QString nameOf(const FoundModel& model) {
    const bool own = model.info && !model.info->name.empty() && model.origin != ModelOrigin::Ollama;
    return QString::fromStdString(own ? model.info->name : model.name);
}

bool usable(const FoundModel& model) {
    return model.info && model.fit.fit != Fit::WontFit;
}

}  // namespace

ModelController::ModelController(EnginePort& port, Settings& settings, ModelOptions options, QObject* parent)
    : QObject(parent), port_(port), settings_(settings), options_(std::move(options)) {}

QString ModelController::name() const {
    switch (state_) {
        case None:
            return tr("No model");
        case Loading:
            return tr("Loading %1…").arg(name_);
        case Failed:
            return tr("No model (%1 failed)").arg(name_);
        case Loaded:
            break;
    }
    return name_;
}

QVariantList ModelController::choices() const {
    QVariantList list;
    for (const FoundModel& c : choices_)
        list << QVariantMap{{QStringLiteral("file"), fileOf(c)},
                            {QStringLiteral("name"), nameOf(c)},
                            {QStringLiteral("detail"), modelText(c)},
                            {QStringLiteral("fit"), fitText(c)},
                            {QStringLiteral("usable"), usable(c)},
                            {QStringLiteral("current"), fileOf(c) == file_ && state_ == Loaded}};
    return list;
}

QString ModelController::missing() const {
    if (state_ == Loading || state_ == Loaded) return {};
    if (looking_) return tr("Looking for language models on this computer…");
    if (std::ranges::any_of(choices_, usable))
        return state_ == Failed
                   ? tr("%1 could not be loaded: choose another of the language models on this computer.").arg(name_)
                   : tr("Choose the language model that is to answer: these are on this computer.");
    return tr("To answer questions, Carrel needs a language model, a GGUF file, and found none here that it can use.");
}

int ModelController::mostThreads() const {
    return std::max(1, QThread::idealThreadCount());
}

int ModelController::threads() const {
    return static_cast<int>(
        options_.threads.value_or(static_cast<unsigned>(std::clamp(settings_.threads(), 0, mostThreads()))));
}

void ModelController::setThreads(int threads) {
    if (threadsGiven()) return;
    settings_.setThreads(std::clamp(threads, 0, mostThreads()));
    port_.useThreads(static_cast<unsigned>(this->threads()));
    emit threadsChanged();
}

QString ModelController::defaultModel() const {
    for (const ModelPlace& place : options_.places) {
        const QString file = QString::fromStdString((place.folder / kDefaultModel).string());
        const bool own = place.origin == ModelOrigin::Carrel || place.origin == ModelOrigin::Package;
        if (own && QFileInfo::exists(file)) return file;
    }
    return {};
}

void ModelController::start(const QString& file) {
    port_.useThreads(static_cast<unsigned>(threads()));
    if (!file.isEmpty()) return load(file);
    if (const QString last = settings_.model(); !last.isEmpty() && QFileInfo::exists(last)) return load(last);
    if (const QString standard = defaultModel(); !standard.isEmpty()) return load(standard);
    taking_ = true;
    lookAround();
}

void ModelController::stop() {
    stop_.request_stop();
}

// Only the header is read here, so that a file that cannot run costs nothing and what runs now keeps running.
void ModelController::choose(const QString& file) {
    if (state_ == Loading || (file == file_ && state_ == Loaded)) return;
    taking_ = false;
    port_.inspectModel(file.toStdString(), [this, file](const Result<ModelInfo>& info) {
        if (info) return load(file);
        emit problem(
            problemOf(info.error(), Doing::LoadModel, QFileInfo(file).fileName(), [this, file] { choose(file); }));
    });
}

void ModelController::load(const QString& file) {
    emit aboutToLoad();
    taking_ = false;
    file_ = file;
    const auto known = std::ranges::find(choices_, file, fileOf);
    const bool listed = known != choices_.end();  // its name there may be better than the file's own
    name_ = listed ? nameOf(*known) : QFileInfo(file).completeBaseName();
    note_.clear();
    state_ = Loading;
    emit changed();
    emit choicesChanged();
    port_.loadModel(file.toStdString(), [this, file, listed](const Result<ModelInfo>& info) {
        state_ = info ? Loaded : Failed;
        if (info && !info->name.empty() && !listed) name_ = QString::fromStdString(info->name);
        if (info) note_ = formatNote(*info);
        fingerprint_ = info ? QString::fromStdString(info->fingerprint) : QString();
        emit changed();
        emit choicesChanged();
        if (!info) {
            emit problem(
                problemOf(info.error(), Doing::LoadModel, QFileInfo(file).fileName(), [this, file] { load(file); }));
            return lookAround();  // for another
        }
        settings_.setModel(file);
        emit loaded();
    });
}

std::vector<ModelPlace> ModelController::places() const {
    std::vector<ModelPlace> all;
    for (const QString& folder : folders()) all.push_back({folder.toStdString(), ModelOrigin::Folder});
    all.insert(all.end(), options_.places.begin(), options_.places.end());
    if (!file_.isEmpty()) all.push_back({file_.toStdString(), ModelOrigin::Folder});  // chosen wherever it lies
    return all;
}

void ModelController::lookAround() {
    stop_.request_stop();  // of an earlier look: its answer comes, and is of less
    stop_ = {};
    looking_ = true;
    emit choicesChanged();
    port_.findModels(places(), settings_.machine(), stop_.get_token(),
                     [this, mine = stop_.get_token()](const Result<FoundModels>& models) {
                         if (!mine.stop_requested()) found(models);
                     });
}

void ModelController::found(const Result<FoundModels>& models) {
    looking_ = false;
    choices_.clear();
    if (models) {
        settings_.setMachine(models->machine);
        choices_ = models->models;
    }
    emit choicesChanged();
    takeTheOneThatFits();
}

void ModelController::takeTheOneThatFits() {
    if (!taking_ || state_ != None) return;
    const auto fits = [](const FoundModel& model) { return model.info && model.fit.fit == Fit::Fits; };
    const auto one = std::ranges::find_if(choices_, fits);
    if (std::ranges::count_if(choices_, fits) == 1 && one->info->chatTemplate != "plain") load(fileOf(*one));
}

void ModelController::addFolder(const QString& folder) {
    QStringList all = folders();
    if (all.contains(folder)) return;
    settings_.setModelFolders(all << folder);
    emit foldersChanged();
    lookAround();
}

void ModelController::removeFolder(const QString& folder) {
    QStringList all = folders();
    all.removeAll(folder);
    settings_.setModelFolders(all);
    emit foldersChanged();
    lookAround();
}

}  // namespace carrel::app
