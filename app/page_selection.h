#pragma once

#include "engine_port.h"
#include "pages_model.h"
#include "passwords.h"

#include <QPointF>
#include <QRectF>
#include <QSet>

#include <map>
#include <optional>

namespace carrel::app {

/// What is chosen on the open document's pages: whole words of the stored extraction, so that what is copied is what
/// a model reads. Pages count from 1, places are points from a page's top left corner. What a page's words are is heard
/// of later than they are pointed at; the choice follows then.
class PageSelection : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("PagesController owns it")
    Q_PROPERTY(bool any READ any NOTIFY changed)
    Q_PROPERTY(int page READ page NOTIFY changed)  // where it ends, and the word there
    Q_PROPERTY(QRectF end READ end NOTIFY changed)

  public:
    enum Unit { Word, Line };
    Q_ENUM(Unit)
    enum Step { NextWord, PreviousWord, NextLine, PreviousLine };
    Q_ENUM(Step)
    struct WordRef {
        std::uint32_t page = 0;
        std::size_t index = 0;
        auto operator<=>(const WordRef&) const = default;
    };

    PageSelection(EnginePort& port, Passwords& passwords, PagesModel& pages, QObject* parent = nullptr);

    bool any() const { return chosen_.has_value() || !text_.isEmpty(); }
    int page() const { return chosen_ ? static_cast<int>(chosen_->last.page) : 0; }
    QRectF end() const;

    void open(const QString& document);            // empty: none
    const PageWords* wordsOf(std::uint32_t page);  // null: asked for now, and wordsKnown says when they are there
    std::optional<WordRef> start() const { return chosen_ ? std::optional(chosen_->first) : std::nullopt; }
    void chooseWords(std::uint32_t page, std::size_t first, std::size_t last);
    /// Whether a word stands there, as far as is known by now.
    bool isWordAt(int page, const QPointF& at);

    Q_INVOKABLE void begin(int page, const QPointF& at, Unit unit);  // a word or line, from which extend() goes on
    Q_INVOKABLE void extend(int page, const QPointF& at);
    Q_INVOKABLE void selectPage(int page);
    Q_INVOKABLE void step(Step step, int shownPage);  // moves the end; nothing chosen: the page's first word
    Q_INVOKABLE void clear();
    Q_INVOKABLE void chooseText(const QString& text);  // of a document without pages, whose items choose by themselves
    Q_INVOKABLE QString text() const;                  // as it was extracted
    Q_INVOKABLE QString quotation() const;             // on one line, in quotation marks; a very long one is cut

  signals:
    void changed();
    void wordsKnown();

  private:
    struct Range {
        WordRef first, last;  // both inside
    };
    struct Spot {
        std::uint32_t page = 0;
        QPointF at;
    };

    std::optional<Range> rangeAt(const Spot& spot);
    std::optional<Range> wholePage(std::uint32_t page);
    std::optional<WordRef> stepped(WordRef from, Step step);
    void choose(const Range& anchor, const Range& head);
    void resolve();
    void show();

    EnginePort& port_;
    Passwords& passwords_;
    PagesModel& pages_;
    QString document_, text_;
    std::map<std::uint32_t, PageWords> words_;
    QSet<int> asked_;
    Unit unit_ = Word;
    std::optional<Spot> from_, to_;  // pointed at, not resolved yet
    std::uint32_t wanted_ = 0;       // a whole page, likewise
    std::optional<Range> anchor_, chosen_;
    WordRef head_;
};

}  // namespace carrel::app
