#include "forecast_text.h"

#include "words.h"

#include <QCoreApplication>
#include <QLocale>

namespace carrel::app {
namespace {

QString tr(const char* text) {
    return QCoreApplication::translate("ForecastText", text);
}

QString number(std::uint64_t n) {
    return QLocale().toString(static_cast<qulonglong>(n));
}

}  // namespace

QString forecastText(const ReadingForecast& f, double seconds) {
    const QString time = seconds < 0 ? tr("time not known yet") : durationText(seconds);
    return tr("%1 tokens · %2 · %3 on disk").arg(number(f.tokens), time, bytesText(f.diskBytes));
}

QStringList forecastDetails(const ReadingForecast& f, double seconds, const TitleOf& titleOf) {
    QStringList out;
    if (f.tokens < f.tokensTotal)
        out << tr("%1 of the document's %2 tokens fit this model.").arg(number(f.tokens), number(f.tokensTotal));
    else
        out << tr("%1 tokens, the whole document.").arg(number(f.tokens));
    if (seconds < 0)
        out << tr("How long it takes is not known yet: this model has read nothing on this computer.");
    else
        out << tr("It takes %1, as fast as this model has read on this computer before.").arg(durationText(seconds));
    out << tr("On disk it takes up to %1.").arg(bytesText(f.diskBytes));
    out << tr("In memory, while it is open, up to %1 ready to be read and %2 behind them.")
               .arg(bytesText(f.deviceBytes), bytesText(f.hostBytes));
    QStringList gone;
    for (const std::string& document : f.evicted) gone << tr("“%1”").arg(titleOf(QString::fromStdString(document)));
    gone.removeDuplicates();
    if (!f.fits)
        out << tr("There is not enough room on the disk for it.");
    else if (gone.isEmpty())
        out << tr("Nothing is deleted for it.");
    else
        out << tr("To make room, what was read of %1 goes; the text and the chats stay.").arg(gone.join(tr(", ")));
    return out;
}

}  // namespace carrel::app
