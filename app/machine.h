#pragma once

#include <QString>
#include <QStringList>

namespace carrel::app {

/// This computer, as a report and remembered speeds name it. From /proc; any thread.
QString processorName();
QStringList processorFlags();  // of those that choose kernels
quint64 memoryBytes();         // in all; 0: not known
quint64 memoryFreeBytes();
/// A short name for speeds measured here: processor and threads, and the GPU where one computes.
QString machineKey(const QString& gpu);

}  // namespace carrel::app
