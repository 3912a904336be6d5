#include "page_selection.h"

#include "word_geometry.h"

#include <algorithm>

namespace carrel::app {
namespace {

constexpr std::size_t kMostKept = 64;       // pages' words, besides what is chosen
constexpr qsizetype kLongestQuote = 1'500;  // characters: the rest of a question's room is for the question

std::size_t offsetIn(const PageWords& page, const WordBox& word) {
    return word.first - static_cast<std::size_t>(page.span.first);
}

}  // namespace

PageSelection::PageSelection(EnginePort& port, Passwords& passwords, PagesModel& pages, QObject* parent)
    : QObject(parent), port_(port), passwords_(passwords), pages_(pages) {}

void PageSelection::open(const QString& document) {
    clear();
    document_ = document;
    words_.clear();
    asked_.clear();
}

const PageWords* PageSelection::wordsOf(std::uint32_t page) {
    const auto known = words_.find(page);
    if (known != words_.end()) return &known->second;
    if (document_.isEmpty() || page == 0 || page > pages_.sizes().size() || asked_.contains(static_cast<int>(page)))
        return nullptr;
    asked_.insert(static_cast<int>(page));
    const std::string document = document_.toStdString();
    port_.words(document, passwords_.of(document), page,
                [this, page, document = document_](const Result<PageWords>& words) {
                    if (document != document_) return;
                    if (words) asked_.remove(static_cast<int>(page));  // else asked once: nothing to choose on it
                    if (words_.size() >= kMostKept)
                        std::erase_if(words_, [this](const auto& kept) {
                            return !chosen_ || kept.first < chosen_->first.page || kept.first > chosen_->last.page;
                        });
                    words_[page] = words ? *words : PageWords();
                    resolve();
                    emit wordsKnown();
                });
    return nullptr;
}

bool PageSelection::isWordAt(int page, const QPointF& at) {
    const PageWords* words = wordsOf(static_cast<std::uint32_t>(std::max(0, page)));
    return words && app::isWordAt(words->words, static_cast<float>(at.x()), static_cast<float>(at.y()));
}

std::optional<PageSelection::Range> PageSelection::rangeAt(const Spot& spot) {
    const PageWords* words = wordsOf(spot.page);
    if (!words) return {};
    const auto word = nearestWord(words->words, static_cast<float>(spot.at.x()), static_cast<float>(spot.at.y()));
    if (!word) return {};
    if (unit_ == Word) return Range{{spot.page, *word}, {spot.page, *word}};
    const auto [first, last] = lineOf(words->words, *word);
    return Range{{spot.page, first}, {spot.page, last}};
}

std::optional<PageSelection::Range> PageSelection::wholePage(std::uint32_t page) {
    const PageWords* words = wordsOf(page);
    if (!words || words->words.empty()) return {};
    return Range{{page, 0}, {page, words->words.size() - 1}};
}

void PageSelection::choose(const Range& anchor, const Range& head) {
    head_ = head.first < anchor.first ? head.first : head.last;
    chosen_ = Range{std::min(anchor.first, head.first), std::max(anchor.last, head.last)};
    for (std::uint32_t page = chosen_->first.page; page <= chosen_->last.page; ++page) (void)wordsOf(page);
    show();
}

// What was pointed at becomes words as soon as they are known.
void PageSelection::resolve() {
    if (wanted_ != 0) {
        const auto page = wholePage(wanted_);
        if (!page) return;
        wanted_ = 0;
        anchor_ = page;
        return choose(*page, *page);
    }
    if (from_) {
        if (const auto anchor = rangeAt(*from_)) {
            anchor_ = anchor;
            from_.reset();
            if (!to_) choose(*anchor, *anchor);
        }
    }
    if (to_ && anchor_) {
        if (const auto head = rangeAt(*to_)) {
            to_.reset();
            return choose(*anchor_, *head);
        }
    }
    if (chosen_) show();  // a page in between may have come
}

void PageSelection::begin(int page, const QPointF& at, Unit unit) {
    clear();
    unit_ = unit;
    from_ = Spot{static_cast<std::uint32_t>(std::max(0, page)), at};
    resolve();
}

void PageSelection::extend(int page, const QPointF& at) {
    if (!from_ && !anchor_) return begin(page, at, Word);
    to_ = Spot{static_cast<std::uint32_t>(std::max(0, page)), at};
    resolve();
}

void PageSelection::chooseWords(std::uint32_t page, std::size_t first, std::size_t last) {
    clear();
    anchor_ = Range{{page, first}, {page, last}};
    choose(*anchor_, *anchor_);
}

void PageSelection::selectPage(int page) {
    clear();
    wanted_ = static_cast<std::uint32_t>(std::max(0, page));
    resolve();
}

std::optional<PageSelection::WordRef> PageSelection::stepped(WordRef from, Step step) {
    const PageWords* here = wordsOf(from.page);
    if (!here || from.index >= here->words.size()) return {};
    const bool forward = step == NextWord || step == NextLine;
    std::size_t index = from.index;
    if (step == NextLine || step == PreviousLine) {
        const auto [first, last] = lineOf(here->words, index);
        index = forward ? last : first;
    }
    const Box& box = here->words[from.index].box;
    if (forward ? index + 1 < here->words.size() : index > 0) {
        index = forward ? index + 1 : index - 1;
        if (step == NextWord || step == PreviousWord) return WordRef{from.page, index};
        const auto [first, last] = lineOf(here->words, index);  // the word below or above in it
        const std::vector<WordBox> line(here->words.begin() + static_cast<std::ptrdiff_t>(first),
                                        here->words.begin() + static_cast<std::ptrdiff_t>(last) + 1);
        const auto near = nearestWord(line, box.x + box.width / 2, line.front().box.y);
        return WordRef{from.page, first + near.value_or(0)};
    }
    if (!forward && from.page <= 1) return {};
    const std::uint32_t page = forward ? from.page + 1 : from.page - 1;
    const PageWords* there = wordsOf(page);  // not known yet: the next key press has it
    if (!there || there->words.empty()) return {};
    return WordRef{page, forward ? 0 : there->words.size() - 1};
}

void PageSelection::step(Step step, int shownPage) {
    if (!chosen_ || !anchor_) {
        const auto page = wholePage(static_cast<std::uint32_t>(std::max(0, shownPage)));
        if (!page) return;
        anchor_ = Range{page->first, page->first};
        return choose(*anchor_, *anchor_);
    }
    if (const auto head = stepped(head_, step)) choose(*anchor_, {*head, *head});
}

void PageSelection::clear() {
    from_.reset();
    to_.reset();
    wanted_ = 0;
    anchor_.reset();
    chooseText({});
    if (!chosen_) return;
    chosen_.reset();
    show();
}

void PageSelection::chooseText(const QString& text) {
    const QString words = text.trimmed();  // a double click beside a word chooses a space
    if (words == text_) return;
    text_ = words;
    emit changed();
}

void PageSelection::show() {
    std::map<std::uint32_t, std::vector<Box>> boxes;
    if (chosen_)
        for (auto at = words_.lower_bound(chosen_->first.page); at != words_.end() && at->first <= chosen_->last.page;
             ++at) {
            const auto& words = at->second.words;
            if (words.empty()) continue;
            const std::size_t first = at->first == chosen_->first.page ? chosen_->first.index : 0;
            const std::size_t last = at->first == chosen_->last.page ? chosen_->last.index : words.size() - 1;
            boxes[at->first] = boxesOf(words, first, last);
        }
    pages_.setChosen(std::move(boxes));
    emit changed();
}

QRectF PageSelection::end() const {
    if (!chosen_) return {};
    const auto words = words_.find(chosen_->last.page);
    if (words == words_.end() || chosen_->last.index >= words->second.words.size()) return {};
    const Box& box = words->second.words[chosen_->last.index].box;
    return {box.x, box.y, box.width, box.height};
}

QString PageSelection::text() const {
    if (!chosen_) return QString(text_).replace(QChar::LineSeparator, QLatin1Char('\n'));
    QStringList parts;
    for (std::uint32_t number = chosen_->first.page; number <= chosen_->last.page; ++number) {
        const auto found = words_.find(number);
        if (found == words_.end() || found->second.words.empty()) continue;
        const PageWords& page = found->second;
        const WordBox& first = page.words[number == chosen_->first.page ? chosen_->first.index : 0];
        const WordBox& last = number == chosen_->last.page ? page.words[chosen_->last.index] : page.words.back();
        const std::size_t from = offsetIn(page, first), to = offsetIn(page, last) + last.count;
        parts << QString::fromStdString(page.text.substr(from, to - from));
    }
    return parts.join(QStringLiteral("\n\n"));
}

QString PageSelection::quotation() const {
    QString words = text().simplified();
    if (words.isEmpty()) return {};
    if (words.size() > kLongestQuote) {
        words.truncate(std::max<qsizetype>(words.lastIndexOf(QLatin1Char(' '), kLongestQuote), kLongestQuote / 2));
        words += QStringLiteral(" …");
    }
    return QStringLiteral("“%1”").arg(words);
}

}  // namespace carrel::app
