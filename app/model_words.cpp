#include "model_words.h"

#include "error_text.h"
#include "words.h"

#include <QCoreApplication>
#include <QLocale>

#include <cmath>

namespace carrel::app {
namespace {

QString tr(const char* text) {
    return QCoreApplication::translate("ModelWords", text);
}

QString placeText(const FoundModel& model) {
    const QString file = QString::fromStdString(model.file.filename().string());
    const auto in = [&](const char* place) { return tr("%1 in %2").arg(file, tr(place)); };
    switch (model.origin) {
        case ModelOrigin::Carrel:
            return in("Carrel's folder");
        case ModelOrigin::Package:
            return tr("%1, installed with Carrel").arg(file);
        case ModelOrigin::LmStudio:
            return in("LM Studio");
        case ModelOrigin::Ollama:
            return tr("From Ollama");  // the file's name is a digest
        case ModelOrigin::HuggingFace:
            return in("the Hugging Face cache");
        case ModelOrigin::Gpt4All:
            return in("GPT4All");
        case ModelOrigin::Jan:
            return in("Jan");
        case ModelOrigin::Unsloth:
            return in("Unsloth");
        case ModelOrigin::LlamaCpp:
            return in("llama.cpp's cache");
        case ModelOrigin::Downloads:
            return in("Downloads");
        case ModelOrigin::Folder:
            break;
    }
    return tr("%1 in %2").arg(file, QString::fromStdString(model.file.parent_path().filename().string()));
}

QString speedText(const FitEstimate& fit) {
    const QString memory = bytesText(fit.memoryBytes);
    if (fit.fit == Fit::WontFit) return tr("Needs %1 of memory, more than there is").arg(memory);
    if (fit.tokensPerSecond <= 0) return tr("%1 of memory").arg(memory);
    const QString speed = fit.tokensPerSecond < 9.5 ? QLocale().toString(fit.tokensPerSecond, 'f', 1)
                                                    : QLocale().toString(std::lround(fit.tokensPerSecond));
    return tr("About %1 tokens a second, %2 of memory").arg(speed, memory);
}

}  // namespace

QString fitText(const FoundModel& model) {
    if (!model.info) return tr("not usable");
    switch (model.fit.fit) {
        case Fit::Fits:
            return tr("fits");
        case Fit::Slow:
            return tr("slow");
        case Fit::WontFit:
            return tr("won't fit");
        case Fit::Unknown:
            break;
    }
    return {};
}

QString modelText(const FoundModel& model) {
    if (!model.info)
        return placeText(model) + QLatin1Char('\n') + errorText(model.info.error(), QString::fromStdString(model.name));
    QString text = placeText(model) + QLatin1Char('\n') + speedText(model.fit) + QStringLiteral(" · ") +
                   tr("reads up to %1 tokens").arg(QLocale().toString(model.info->window));
    if (const QString note = formatNote(*model.info); !note.isEmpty()) text += QLatin1Char('\n') + note;
    return text;
}

QString formatNote(const ModelInfo& model) {
    if (model.chatTemplate != "plain") return {};
    return tr("The file has no chat template that Carrel knows: it is asked in a plain format.");
}

}  // namespace carrel::app
