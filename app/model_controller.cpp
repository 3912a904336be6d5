#include "model_controller.h"

#include "words.h"

#include <QDir>
#include <QFileInfo>
#include <QLocale>

#include <algorithm>

namespace carrel::app {

constexpr char kDefaultModel[] = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";  // models/catalog.json

namespace {

QString noteOf(const ModelInfo& info) {
    if (info.chatTemplate != "plain") return {};
    return ModelController::tr("The file has no chat template that Carrel knows: it is asked in a plain format.");
}

}  // namespace

ModelController::ModelController(EnginePort& port, Settings& settings, const QString& modelsFolder, QObject* parent)
    : QObject(parent), port_(port), settings_(settings), folder_(modelsFolder) {}

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
    for (const Choice& c : choices_)
        list << QVariantMap{{QStringLiteral("file"), c.file},
                            {QStringLiteral("name"), c.name},
                            {QStringLiteral("detail"), c.detail},
                            {QStringLiteral("usable"), c.usable},
                            {QStringLiteral("current"), c.file == file_ && state_ == Loaded}};
    return list;
}

void ModelController::start(const QString& file) {
    if (!file.isEmpty()) return load(file);
    const QString standard = QDir(folder_).filePath(QString::fromLatin1(kDefaultModel));
    if (const QString last = settings_.model(); !last.isEmpty() && QFileInfo::exists(last)) return load(last);
    if (QFileInfo::exists(standard)) return load(standard);
    emit problem(
        tr("No model was found in %1. Choose a GGUF file with the model button at the lower left.").arg(folder_));
}

// Only the header is read here, so that a file that cannot run costs nothing and what runs now keeps running.
void ModelController::choose(const QString& file) {
    if (state_ == Loading || (file == file_ && state_ == Loaded)) return;
    port_.inspectModel(file.toStdString(), [this, file](const Result<ModelInfo>& info) {
        if (info) return load(file);
        emit problem(
            problemOf(info.error(), Doing::LoadModel, QFileInfo(file).fileName(), [this, file] { choose(file); }));
    });
}

void ModelController::load(const QString& file) {
    emit aboutToLoad();
    file_ = file;
    name_ = QFileInfo(file).completeBaseName();
    note_.clear();
    state_ = Loading;
    emit changed();
    port_.loadModel(file.toStdString(), [this, file](const Result<ModelInfo>& info) {
        state_ = info ? Loaded : Failed;
        if (info && !info->name.empty()) name_ = QString::fromStdString(info->name);
        if (info) note_ = noteOf(*info);
        fingerprint_ = info ? QString::fromStdString(info->fingerprint) : QString();
        emit changed();
        emit choicesChanged();
        if (!info) {
            emit problem(
                problemOf(info.error(), Doing::LoadModel, QFileInfo(file).fileName(), [this, file] { load(file); }));
            return;
        }
        settings_.setModel(file);
        emit loaded();
    });
}

void ModelController::lookAround() {
    QStringList files;
    for (const QFileInfo& info : QDir(folder_).entryInfoList({QStringLiteral("*.gguf")}, QDir::Files, QDir::Name))
        files << info.absoluteFilePath();
    if (!file_.isEmpty() && !files.contains(file_)) files << file_;
    choices_.removeIf([&](const Choice& c) { return !files.contains(c.file); });
    emit choicesChanged();
    for (const QString& file : std::as_const(files))
        port_.inspectModel(file.toStdString(), [this, file](const Result<ModelInfo>& info) { inspected(file, info); });
}

void ModelController::inspected(const QString& file, const Result<ModelInfo>& info) {
    Choice choice{file, QFileInfo(file).completeBaseName(), {}, static_cast<bool>(info)};
    if (info) {
        if (!info->name.empty()) choice.name = QString::fromStdString(info->name);
        choice.detail =
            tr("%1 · reads up to %2 tokens").arg(bytesText(info->fileBytes), QLocale().toString(info->window));
        if (const QString note = noteOf(*info); !note.isEmpty()) choice.detail += QStringLiteral("\n") + note;
    } else {
        choice.detail = errorText(info.error(), Doing::LoadModel, QFileInfo(file).fileName());
    }
    const auto old = std::ranges::find(choices_, file, &Choice::file);
    if (old == choices_.end())
        choices_ << choice;
    else
        *old = choice;
    emit choicesChanged();
}

}  // namespace carrel::app
