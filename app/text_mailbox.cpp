#include "text_mailbox.h"

#include <QTimer>

namespace carrel::app {

constexpr std::chrono::milliseconds kInterval{33};

void TextMailbox::post(quint64 ticket, const QString& text) {
    const std::lock_guard lock(mutex_);
    mail_[ticket] += text;
    if (wakePending_) return;
    wakePending_ = true;
    QMetaObject::invokeMethod(this, &TextMailbox::wake, Qt::QueuedConnection);
}

void TextMailbox::wake() {
    const auto since =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - lastDrain_);
    if (since >= kInterval) return drain();
    QTimer::singleShot(kInterval - since, Qt::PreciseTimer, this, &TextMailbox::drain);
}

void TextMailbox::drain() {
    QMap<quint64, QString> mail;
    {
        const std::lock_guard lock(mutex_);
        mail.swap(mail_);
        wakePending_ = false;
    }
    lastDrain_ = std::chrono::steady_clock::now();
    for (auto it = mail.cbegin(); it != mail.cend(); ++it) emit arrived(it.key(), it.value());
}

}  // namespace carrel::app
