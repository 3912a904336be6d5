#include "words.h"

#include <QCoreApplication>
#include <QLocale>

#include <algorithm>
#include <cmath>

namespace carrel::app {
namespace {

QString tr(const char* text) {
    return QCoreApplication::translate("Words", text);
}

int percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : static_cast<int>(100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace

QString durationText(double seconds) {
    if (!(seconds >= 0) || !std::isfinite(seconds)) return tr("not known yet");
    if (seconds < 10) return tr("a few seconds");
    if (seconds < 50) return tr("about %1 s").arg(static_cast<int>(std::round(seconds / 10)) * 10);
    const int minutes = static_cast<int>(std::lround(std::min(seconds, 1e7) / 60));
    if (minutes < 90) return tr("about %1 min").arg(std::max(1, minutes));
    return tr("about %1 h").arg(QLocale().toString(minutes / 60.0, 'f', 1));
}

QString etaText(double seconds) {
    return seconds >= 0 && std::isfinite(seconds) ? tr("%1 left").arg(durationText(seconds)) : QString();
}

QString bytesText(std::uint64_t bytes) {
    return QLocale().formattedDataSize(static_cast<qint64>(bytes), bytes < (1u << 20) ? 0 : 1);
}

QString documentText(const DocumentRow& document) {
    const QString size = bytesText(document.fileBytes);
    if (document.pages == 0) return size;
    const QString pages = document.pages == 1 ? tr("1 page") : tr("%1 pages").arg(document.pages);
    return pages + QStringLiteral(" · ") + size;
}

QString coverageText(const Coverage& c) {
    if (c.pagesTotal == 0) {
        if (c.whole()) return tr("Read the whole text");
        return tr("Read the first %1 % of the text; the rest was not used").arg(percent(c.tokensRead, c.tokensTotal));
    }
    if (c.whole()) return c.pagesTotal == 1 ? tr("Read the one page") : tr("Read all %1 pages").arg(c.pagesTotal);
    if (c.pagesRead == 0) return tr("Read only the beginning of page 1 of %1; the rest was not used").arg(c.pagesTotal);
    const QString read = c.pagesRead == 1 ? tr("page 1") : tr("pages 1-%1").arg(c.pagesRead);
    const std::uint32_t next = c.pagesRead + 1;
    if (next > c.pagesTotal) return tr("Read %1 of %2, the last one in part").arg(read).arg(c.pagesTotal);
    if (next == c.pagesTotal) return tr("Read %1 of %2; page %2 was not used").arg(read).arg(c.pagesTotal);
    return tr("Read %1 of %2; pages %3-%2 were not used").arg(read).arg(c.pagesTotal).arg(next);
}

QString progressText(const ReadingProgress& p) {
    QStringList parts;
    if (p.pagesTotal > 0)
        parts << tr("Page %1 of %2").arg(p.pagesDone).arg(p.pagesTotal);
    else
        parts << tr("%1 % read").arg(percent(p.tokensDone, p.tokensTotal));
    if (p.tokensPerSecond > 0) parts << tr("%1 tokens/s").arg(QLocale().toString(p.tokensPerSecond, 'f', 0));
    if (const QString eta = etaText(p.etaSeconds); !eta.isEmpty()) parts << eta;
    return parts.join(QStringLiteral(" · "));
}

}  // namespace carrel::app
