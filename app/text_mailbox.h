#pragma once

#include <QMap>
#include <QObject>
#include <QString>

#include <chrono>
#include <mutex>

namespace carrel::app {

/// Text from the engine thread on its way to the window: a locked buffer with at most one wake-up pending, emptied at
/// most 30 times a second. However fast an answer is written, the GUI thread's queue does not grow.
class TextMailbox : public QObject {
    Q_OBJECT

  public:
    using QObject::QObject;

    void post(quint64 ticket, const QString& text);  // any thread
    void drain();                                    // GUI thread

  signals:
    void arrived(quint64 ticket, const QString& text);

  private:
    void wake();

    std::mutex mutex_;
    QMap<quint64, QString> mail_;
    bool wakePending_ = false;
    std::chrono::steady_clock::time_point lastDrain_{};  // GUI thread only
};

}  // namespace carrel::app
