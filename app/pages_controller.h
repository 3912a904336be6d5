#pragma once

#include "engine_port.h"
#include "error_text.h"
#include "link_walk.h"
#include "navigator.h"
#include "page_selection.h"
#include "pages_model.h"
#include "passwords.h"
#include "settings.h"

#include <QRectF>
#include <QVariantList>

namespace carrel::app {

/// The open document's pages, and the place in it that is shown.
class PagesController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(carrel::app::PagesModel* pages READ pages CONSTANT)
    Q_PROPERTY(carrel::app::PageSelection* selection READ selection CONSTANT)
    Q_PROPERTY(carrel::app::Navigator* navigator READ navigator CONSTANT)
    Q_PROPERTY(QString document READ document NOTIFY documentChanged)  // SHA-256; part of the images' address
    Q_PROPERTY(bool hasPages READ hasPages NOTIFY documentChanged)
    Q_PROPERTY(QSizeF widestPage READ widestPage NOTIFY documentChanged)  // points; each side's own greatest
    Q_PROPERTY(int markedPage READ markedPage NOTIFY marked)              // from 1; 0: none
    Q_PROPERTY(QVariantList marks READ marks NOTIFY marked)               // rectangles on markedPage, points
    Q_PROPERTY(int hits READ hits NOTIFY found)                           // of the words looked for; -1: none are
    Q_PROPERTY(int hit READ hit NOTIFY found)                             // the one that is shown, from 1; 0: none

  public:
    PagesController(EnginePort& port, Passwords& passwords, QObject* parent = nullptr);

    PagesModel* pages() { return &pages_; }
    PageSelection* selection() { return &selection_; }
    Navigator* navigator() { return &navigator_; }
    QString document() const { return document_; }
    bool hasPages() const { return !pages_.sizes().empty(); }
    QSizeF widestPage() const { return pages_.widest(); }
    int markedPage() const { return markedPage_; }
    QVariantList marks() const { return marks_; }

    int hits() const { return searching_ ? static_cast<int>(pages_.found().size()) : -1; }
    int hit() const { return hit_; }
    /// Marks where words stand and shows the first of them that is not before a row of the list; empty ends it.
    Q_INVOKABLE void find(const QString& words, int fromRow);
    Q_INVOKABLE void nextHit(int step);  // 1 or -1; around the end
    /// Chooses the words of the next link (1) or the one before (-1); linkChosen says when.
    Q_INVOKABLE void nextLink(int step, int shownPage) { links_.step(step, shownPage); }
    /// What the pointer is to look like over a place of a page (Qt::CursorShape), as far as is known by now.
    Q_INVOKABLE int shapeAt(int page, const QPointF& at);

    /// The same from a page (from 1), or from a byte where there are no pages, and says so in wordsShown.
    void showWords(const QString& words, int page, quint64 byte);

    /// at: where they are to be shown first.
    void open(const DocumentRow& row, const std::optional<Settings::Place>& at = {});
    void close();
    void show(const Source& source);
    /// What came of drawing a page: its item says so where it failed.
    void drawn(const QString& document, int page, const Status& status);

  signals:
    void documentChanged();
    void found();
    void wordsShown(const QString& words);
    void marked();
    /// Row of the list to bring into view, and how far down its height, 0..1. A jump is one to come back from.
    void placeWanted(int row, double down, bool jump);
    void placeLeft(const QString& document, int row, double down);  // by the list of pages, which scrolled to it
    void linkChosen(int row, double down);
    void problem(const carrel::app::Problem& problem);
    void needsPassword(const QString& sha, bool wrong);

  private:
    void setMarks(int page, const QVariantList& marks);
    void showPlace(std::uint32_t page, const ByteSpan& span, const std::vector<Box>& boxes, bool jump);
    void endFind();
    void look(const QString& words, int page, quint64 byte, bool tell);

    EnginePort& port_;
    Passwords& passwords_;
    PagesModel pages_;
    PageSelection selection_;
    Navigator navigator_;
    LinkWalk links_;
    QString document_;
    int markedPage_ = 0, hit_ = 0;
    bool searching_ = false;
    quint64 search_ = 0;  // the latest: answers to older ones are late
    QVariantList marks_;
};

}  // namespace carrel::app
