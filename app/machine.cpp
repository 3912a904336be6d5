#include "machine.h"

#include <QCryptographicHash>
#include <QFile>
#include <QThread>

namespace carrel::app {
namespace {

/// The value of a "name : value" line.
QString valueIn(const QString& file, const QByteArray& name) {
    QFile in(file);
    if (!in.open(QIODevice::ReadOnly)) return {};
    for (QByteArray line = in.readLine(); !line.isEmpty(); line = in.readLine()) {
        const auto colon = line.indexOf(':');
        if (colon > 0 && line.first(colon).trimmed() == name)
            return QString::fromLatin1(line.sliced(colon + 1).trimmed());
    }
    return {};
}

quint64 kibibytesIn(const QByteArray& name) {
    return valueIn(QStringLiteral("/proc/meminfo"), name).section(QLatin1Char(' '), 0, 0).toULongLong() * 1024;
}

}  // namespace

QString processorName() {
    return valueIn(QStringLiteral("/proc/cpuinfo"), "model name");
}

QStringList processorFlags() {
    QStringList out;
    for (const QString& flag : valueIn(QStringLiteral("/proc/cpuinfo"), "flags").split(QLatin1Char(' ')))
        if (flag.startsWith(QLatin1String("avx")) || flag == QLatin1String("fma") || flag == QLatin1String("f16c"))
            out << flag;
    return out;
}

quint64 memoryBytes() {
    return kibibytesIn("MemTotal");
}

quint64 memoryFreeBytes() {
    return kibibytesIn("MemAvailable");
}

QString machineKey(const QString& gpu) {
    const QString machine = processorName() + QString::number(QThread::idealThreadCount()) + gpu;
    return QString::fromLatin1(QCryptographicHash::hash(machine.toUtf8(), QCryptographicHash::Sha256).toHex().first(8));
}

}  // namespace carrel::app
