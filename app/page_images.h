#pragma once

#include <QImage>
#include <QMutex>
#include <QString>

#include <list>

namespace carrel::app {

/// Drawn pages of the documents seen last, so that going back draws nothing. What was used longest ago makes room; a
/// single image larger than all the room is not kept. Any thread.
class PageImages {
  public:
    static constexpr qsizetype kMostBytes = qsizetype{128} << 20;
    explicit PageImages(qsizetype mostBytes = kMostBytes) : mostBytes_(mostBytes) {}

    QImage find(const QString& document, int page, int width);  // null: not there
    QImage widest(const QString& document, int page);           // to be shown until the right size is there
    void put(const QString& document, int page, const QImage& image);
    void forget(const QString& document);
    qsizetype bytes() const;

  private:
    struct Entry {
        QString document;
        int page = 0;
        QImage image;
    };
    QImage use(std::list<Entry>::iterator entry);

    mutable QMutex mutex_;
    const qsizetype mostBytes_;
    qsizetype bytes_ = 0;
    std::list<Entry> entries_;  // last used first
};

}  // namespace carrel::app
