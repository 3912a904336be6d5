#include "report.h"

#include "machine.h"
#include "words.h"

#include <QCryptographicHash>
#include <QFileInfo>
#include <QRegularExpression>
#include <QSysInfo>
#include <QThread>

#include <algorithm>

namespace carrel::app {
namespace {

QString hashed(const QString& text) {
    const QByteArray hash = QCryptographicHash::hash(text.toUpper().toUtf8(), QCryptographicHash::Sha256);
    return QLatin1Char('#') + QString::fromLatin1(hash.toHex().first(12));
}

// Numbers and the engine's own words stay; names, paths and quotations go.
QString withoutSecrets(QString text, QStringList secrets) {
    std::ranges::sort(secrets, [](const QString& a, const QString& b) { return a.size() > b.size(); });
    for (const QString& secret : std::as_const(secrets))
        if (secret.size() > 1) text.replace(secret, hashed(secret), Qt::CaseInsensitive);
    // Where a path ends cannot be told from spaces in it, so it takes the rest along.
    static const QRegularExpression path(QStringLiteral("(?:[A-Za-z]+:)?[~.]?/.*$"),
                                         QRegularExpression::DotMatchesEverythingOption);
    static const QRegularExpression quoted(QStringLiteral("\"[^\"]*\"|'[^']*'|“[^”]*”|‘[^’]*’|«[^»]*»|`[^`]*`"));
    static const QRegularExpression file(QStringLiteral("\\S*\\.[A-Za-z]{1,8}\\b"));
    for (const QRegularExpression* one : {&quoted, &path, &file})
        for (auto match = one->match(text); match.hasMatch(); match = one->match(text))
            text.replace(match.capturedStart(), match.capturedLength(), hashed(match.captured()));
    return text.simplified();
}

// A tensor, a part of Carrel, a document's hash, the model: anything else may be a person's.
QString placeOf(const QString& where, const ReportFacts& facts) {
    if (where.isEmpty()) return QStringLiteral("-");
    if (where == facts.modelFile) return QFileInfo(where).fileName();
    static const QRegularExpression own(QStringLiteral(
        "^(?:[0-9a-f]{64}|(?:blk|token_embd|output|output_norm|rope_freqs)[.][a-z0-9_.]+|[a-z]{1,12})$"));
    const bool secret = std::ranges::any_of(
        facts.secrets, [&](const QString& one) { return one.compare(where, Qt::CaseInsensitive) == 0; });
    return own.match(where).hasMatch() && !secret ? where : hashed(where);
}

}  // namespace

QString reportText(const ReportFacts& facts) {
    const auto orNone = [](const QString& text) { return text.isEmpty() ? QStringLiteral("-") : text; };
    QStringList lines;
    lines << QStringLiteral("Carrel %1, commit %2").arg(QStringLiteral(CARREL_VERSION), QStringLiteral(CARREL_COMMIT));
    lines << QStringLiteral("System: %1, kernel %2, Qt %3")
                 .arg(QSysInfo::prettyProductName(), QSysInfo::kernelVersion(), QString::fromLatin1(qVersion()));
    lines << QStringLiteral("Processor: %1, %2 threads, %3")
                 .arg(orNone(processorName()))
                 .arg(QThread::idealThreadCount())
                 .arg(orNone(processorFlags().join(QLatin1Char(' '))));
    lines << QStringLiteral("Computes: %1").arg(orNone(QString::fromStdString(facts.processor.backend)));
    if (!facts.processor.why.empty())
        lines << QStringLiteral("No GPU: %1").arg(QString::fromStdString(facts.processor.why));
    lines << QStringLiteral("Memory: %1, %2 free").arg(bytesText(memoryBytes()), bytesText(memoryFreeBytes()));
    lines << QStringLiteral("Model: %1, %2")
                 .arg(orNone(QFileInfo(facts.modelFile).fileName()), orNone(facts.fingerprint));
    if (!facts.error) {
        lines << QStringLiteral("Last failure: none");
    } else {
        lines << QStringLiteral("Last failure: %1 while %2").arg(codeName(facts.error->code), doingName(facts.doing));
        lines << QStringLiteral("Where: %1").arg(placeOf(QString::fromStdString(facts.error->where), facts));
        lines << QStringLiteral("Detail: %1")
                     .arg(orNone(withoutSecrets(QString::fromStdString(facts.error->detail), facts.secrets)));
    }
    return lines.join(QLatin1Char('\n')) + QLatin1Char('\n');
}

}  // namespace carrel::app
