#include "document_text.h"

#include "words.h"

#include <QCoreApplication>
#include <QDateTime>
#include <QLocale>

#include <algorithm>

namespace carrel::app {
namespace {

QString tr(const char* text) {
    return QCoreApplication::translate("DocumentText", text);
}

QString pagesText(const DocumentRow& row) {
    if (row.pages == 0) return row.state == DocumentState::Ready ? tr("Text") : QString();  // not known else
    return row.pages == 1 ? tr("1 page") : tr("%1 pages").arg(row.pages);
}

/// Of what lies on disk and nobody reads at the moment.
QString storedText(const StoredReading& reading, bool pausedByPerson) {
    const Coverage& c = reading.coverage;
    if (reading.complete) return readyText(c);
    QString how = pausedByPerson ? tr("Paused by you") : tr("Paused: it goes on when it is opened");
    if (c.pagesRead > 0 && c.pagesTotal > 0)
        how += QStringLiteral(" · ") + tr("%1 of %2 pages read").arg(c.pagesRead).arg(c.pagesTotal);
    return how;
}

std::int64_t usedAt(const DocumentFacts& facts) {
    std::int64_t at = facts.row.openedAt;
    for (const StoredReading& reading : facts.stored) at = std::max(at, reading.usedAt);
    return at;
}

}  // namespace

std::uint64_t DocumentFacts::readingBytes() const {
    std::uint64_t bytes = 0;
    for (const StoredReading& one : stored) bytes += one.diskBytes;
    return bytes;
}

QString readyText(const Coverage& c) {
    if (c.whole()) return tr("Ready");
    if (c.pagesTotal == 0) return tr("Ready for the first part; the rest does not fit the model");
    if (c.pagesRead == 0) return tr("Ready for a part of page 1 of %1").arg(c.pagesTotal);
    if (c.pagesRead == 1) return tr("Ready for page 1 of %1").arg(c.pagesTotal);
    return tr("Ready for pages 1 to %1 of %2").arg(c.pagesRead).arg(c.pagesTotal);
}

QString stateText(const DocumentFacts& facts) {
    switch (facts.row.state) {
        case DocumentState::Adding:
            return tr("Was not taken in completely: add it again");
        case DocumentState::NeedsPassword:
            return tr("Needs its password: open it to enter it");
        case DocumentState::NoText:
            return tr("No text in its pages (a scan?)");
        case DocumentState::Refused:
            return tr("Refused: %1").arg(QString::fromStdString(facts.row.reason));
        case DocumentState::Ready:
            break;
    }
    if (!facts.reading.isEmpty()) return facts.reading;
    const auto ours = std::ranges::find(facts.stored, true, &StoredReading::loadedModel);
    if (ours != facts.stored.end()) return storedText(*ours, facts.pausedByPerson);
    return facts.stored.empty() ? tr("Text ready, not read") : tr("Text ready, read with another model");
}

QString dayText(std::int64_t at) {
    const QDate day = QDateTime::fromSecsSinceEpoch(at).date();
    const qint64 days = day.daysTo(QDate::currentDate());
    if (days == 0) return tr("today");
    if (days == 1) return tr("yesterday");
    return QLocale().toString(day, QLocale::ShortFormat);
}

QString briefText(const DocumentFacts& facts) {
    QStringList parts{pagesText(facts.row), bytesText(facts.diskBytes()), dayText(usedAt(facts))};
    parts.removeAll(QString());
    return parts.join(QStringLiteral(" · "));
}

QString fullText(const DocumentFacts& facts) {
    const DocumentRow& row = facts.row;
    QStringList lines{stateText(facts), pagesText(row)};
    lines.removeAll(QString());
    if (!row.pagesWithoutText.empty())
        lines << tr("%1 of them without text").arg(static_cast<qulonglong>(row.pagesWithoutText.size()));
    lines << tr("%1 on disk").arg(bytesText(facts.diskBytes()));
    lines << tr("  %1 Carrel's copy and its text").arg(bytesText(row.diskBytes));
    if (facts.stored.size() == 1) lines << tr("  %1 what was read of it").arg(bytesText(facts.readingBytes()));
    if (facts.stored.size() > 1)
        lines << tr("  %1 what %2 models read of it")
                     .arg(bytesText(facts.readingBytes()))
                     .arg(static_cast<qulonglong>(facts.stored.size()));
    lines << tr("Used last: %1").arg(dayText(usedAt(facts))) << tr("Added: %1").arg(dayText(row.addedAt));
    lines << tr("From %1").arg(QString::fromStdString(row.originalPath));
    return lines.join(QLatin1Char('\n'));
}

}  // namespace carrel::app
