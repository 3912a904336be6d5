#include "forgetting.h"

#include <QTimer>

#include <algorithm>

namespace carrel::app {

Forgetting::Forgetting(std::chrono::milliseconds time, QObject* parent) : QObject(parent), time_(time) {}

QString Forgetting::sentence() const {
    if (entries_.empty()) return {};
    const Entry& last = entries_.back();
    return last.what == Document ? tr("“%1” is forgotten.").arg(last.title)
                                 : tr("What was read of “%1” is forgotten.").arg(last.title);
}

Forgetting::Entries::iterator Forgetting::find(What what, const QString& sha) {
    return std::ranges::find_if(entries_, [&](const Entry& entry) { return entry.what == what && entry.sha == sha; });
}

bool Forgetting::holds(What what, const QString& sha) const {
    return std::ranges::any_of(entries_, [&](const Entry& entry) { return entry.what == what && entry.sha == sha; });
}

void Forgetting::add(What what, const QString& sha, const QString& title) {
    if (holds(what, sha)) return;
    entries_.push_back({what, sha, title, new QTimer(this)});
    const auto entry = std::prev(entries_.end());
    entry->timer->setSingleShot(true);
    connect(entry->timer, &QTimer::timeout, this, [this, entry] { end(entry, false); });
    entry->timer->start(time_);
    emit changed();
}

void Forgetting::end(Entries::iterator entry, bool undo) {
    const What what = entry->what;
    const QString sha = entry->sha;
    entry->timer->stop();
    entry->timer->deleteLater();  // its own signal may have brought us here
    entries_.erase(entry);
    emit changed();
    if (undo)
        emit undone(what, sha);
    else
        emit due(what, sha);
}

void Forgetting::keep(What what, const QString& sha) {
    if (const auto entry = find(what, sha); entry != entries_.end()) end(entry, true);
}

void Forgetting::finish() {
    while (!entries_.empty()) end(entries_.begin(), false);
}

void Forgetting::undo() {
    if (!entries_.empty()) end(std::prev(entries_.end()), true);
}

}  // namespace carrel::app
