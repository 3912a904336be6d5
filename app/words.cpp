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

QString pagesText(const std::vector<std::uint32_t>& pages) {
    QStringList runs;
    for (std::size_t i = 0; i < pages.size();) {
        std::size_t end = i + 1;
        while (end < pages.size() && pages[end] == pages[end - 1] + 1) ++end;
        QString run = QString::number(pages[i]);
        if (end - i > 2) run += QLatin1Char('-') + QString::number(pages[end - 1]);
        runs << run;
        if (end - i == 2) runs << QString::number(pages[end - 1]);
        i = end;
    }
    if (runs.isEmpty()) return {};
    const QString last = runs.takeLast();
    const QString all = runs.isEmpty() ? last : tr("%1 and %2").arg(runs.join(QStringLiteral(", ")), last);
    return pages.size() == 1 ? tr("page %1").arg(all) : tr("pages %1").arg(all);
}

namespace {

QString textCoverage(const Coverage& c) {
    if (c.whole()) return tr("Read the whole text");
    const int part = percent(c.tokensRead, c.tokensTotal);
    if (c.goesOn) return tr("Answered from the first %1 % of the text; the rest was not read yet").arg(part);
    return tr("Read the first %1 % of the text; the rest was not used").arg(part);
}

QString pageCoverage(const Coverage& c) {
    if (c.whole()) return c.pagesTotal == 1 ? tr("Read the one page") : tr("Read all %1 pages").arg(c.pagesTotal);
    if (c.pagesRead == 0) {
        const QString read = c.goesOn ? tr("Answered from the beginning of page 1 of %1; the rest was not read yet")
                                      : tr("Read only the beginning of page 1 of %1; the rest was not used");
        return read.arg(c.pagesTotal);
    }
    const QString read = c.pagesRead == 1 ? tr("page 1") : tr("pages 1-%1").arg(c.pagesRead);
    const std::uint32_t next = c.pagesRead + 1;
    if (next > c.pagesTotal) return tr("Read %1 of %2, the last one in part").arg(read).arg(c.pagesTotal);
    if (c.goesOn) {
        const QString rest = next == c.pagesTotal ? tr("page %1 was not read yet").arg(next)
                                                  : tr("pages %1-%2 were not read yet").arg(next).arg(c.pagesTotal);
        return tr("Answered from %1 of %2; %3").arg(read).arg(c.pagesTotal).arg(rest);
    }
    if (next == c.pagesTotal) return tr("Read %1 of %2; page %2 was not used").arg(read).arg(c.pagesTotal);
    return tr("Read %1 of %2; pages %3-%2 were not used").arg(read).arg(c.pagesTotal).arg(next);
}

QString capitalised(QString text) {
    if (!text.isEmpty()) text[0] = text[0].toUpper();
    return text;
}

}  // namespace

QString coverageText(const Coverage& c, const std::vector<std::uint32_t>& pagesWithoutText,
                     std::uint32_t droppedTurns) {
    QStringList sentences{c.pagesTotal == 0 ? textCoverage(c) : pageCoverage(c)};
    std::vector<std::uint32_t> empty;
    std::ranges::copy_if(pagesWithoutText, std::back_inserter(empty),
                         [&](std::uint32_t page) { return page <= c.pagesRead; });
    if (empty.size() == 1) sentences << tr("%1 has no text").arg(capitalised(pagesText(empty)));
    if (empty.size() > 1) sentences << tr("%1 have no text").arg(capitalised(pagesText(empty)));
    if (droppedTurns == 1) sentences << tr("The oldest question of this chat no longer fitted and was not used");
    if (droppedTurns > 1)
        sentences << tr("The %1 oldest questions of this chat no longer fitted and were not used").arg(droppedTurns);
    return sentences.join(QStringLiteral(". "));
}

QString quoteText(const std::string& quote) {
    QString text = QString::fromStdString(quote).simplified();
    if (text.isEmpty()) return text;
    const QString dots(QChar(0x2026));
    // A sentence of the page before goes on, or one is so long that a part of it stands for it.
    const bool cut = text.size() > 300 && (text.back().isLetterOrNumber() || text.back() == QLatin1Char(','));
    return (text.front().isLower() ? dots : QString()) + text + (cut ? dots : QString());
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
