#include "page_images.h"

#include <QMutexLocker>

#include <algorithm>

namespace carrel::app {

QImage PageImages::use(std::list<Entry>::iterator entry) {
    if (entry == entries_.end()) return {};
    entries_.splice(entries_.begin(), entries_, entry);
    return entries_.front().image;
}

QImage PageImages::find(const QString& document, int page, int width) {
    const QMutexLocker lock(&mutex_);
    return use(std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.page == page && entry.image.width() == width && entry.document == document;
    }));
}

QImage PageImages::widest(const QString& document, int page) {
    const QMutexLocker lock(&mutex_);
    auto best = entries_.end();
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry)
        if (entry->page == page && entry->document == document &&
            (best == entries_.end() || entry->image.width() > best->image.width()))
            best = entry;
    return use(best);
}

void PageImages::put(const QString& document, int page, const QImage& image) {
    const QMutexLocker lock(&mutex_);
    const qsizetype bytes = image.sizeInBytes();
    if (image.isNull() || bytes > mostBytes_) return;
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry)
        if (entry->page == page && entry->image.width() == image.width() && entry->document == document) {
            bytes_ -= entry->image.sizeInBytes();
            entries_.erase(entry);
            break;
        }
    entries_.push_front({document, page, image});
    for (bytes_ += bytes; bytes_ > mostBytes_; entries_.pop_back()) bytes_ -= entries_.back().image.sizeInBytes();
}

void PageImages::forget(const QString& document) {
    const QMutexLocker lock(&mutex_);
    std::erase_if(entries_, [&](const Entry& entry) {
        if (entry.document != document) return false;
        bytes_ -= entry.image.sizeInBytes();
        return true;
    });
}

qsizetype PageImages::bytes() const {
    const QMutexLocker lock(&mutex_);
    return bytes_;
}

}  // namespace carrel::app
