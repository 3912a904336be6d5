#include "wait_text.h"

#include <QCoreApplication>

namespace carrel::app {
namespace {

constexpr int kShownFrom = 2, kInMinutesFrom = 120;  // seconds

QString tr(const char* text) {
    return QCoreApplication::translate("WaitText", text);
}

QString name(const Wait& wait) {
    switch (wait.kind) {
        case Wait::Model:
            return tr("Waiting for the model");
        case Wait::FirstPages:
            return tr("Waiting for the first pages to be read");
        case Wait::OtherAnswer:
            return tr("Waiting for the answer in “%1”").arg(wait.other);
        case Wait::Together:
            return tr("Waiting for the questions before it");
        case Wait::Pages:
            return tr("Waiting for the pages being read");
        case Wait::Opening:
            return tr("Opening what was read");
        case Wait::Question:
            if (wait.total == 0) return tr("Reading your question");
            return tr("Reading your question %1/%2").arg(wait.done).arg(wait.total);
        case Wait::Answering:
            return tr("Answering");
        case Wait::Stopping:
            return tr("Stopping");
    }
    return {};
}

}  // namespace

QString waitText(const Wait& wait, int seconds) {
    if (seconds < kShownFrom) return name(wait) + QStringLiteral("…");
    const QString time = seconds < kInMinutesFrom ? tr("%1 s").arg(seconds) : tr("%1 min").arg(seconds / 60);
    return name(wait) + QStringLiteral(" · ") + time;
}

}  // namespace carrel::app
