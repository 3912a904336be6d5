#include "link_walk.h"

#include <algorithm>
#include <cstdlib>

namespace carrel::app {
namespace {

struct Run {
    std::size_t first = 0, last = 0;  // words of a page, both inside
    auto operator<=>(const Run&) const = default;
};

/// The words whose middle lies in a link; none where it is a picture's.
std::optional<Run> wordsIn(const Box& link, const std::vector<WordBox>& words) {
    const QRectF box(link.x, link.y, link.width, link.height);
    std::optional<Run> run;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const Box& word = words[i].box;
        if (!box.contains(QPointF(word.x + word.width / 2, word.y + word.height / 2))) continue;
        run = Run{run ? run->first : i, i};
    }
    return run;
}

}  // namespace

LinkWalk::LinkWalk(Navigator& navigator, PageSelection& selection, PagesModel& pages, QObject* parent)
    : QObject(parent), navigator_(navigator), selection_(selection), pages_(pages) {
    connect(&navigator_, &Navigator::linksKnown, this, &LinkWalk::go);
    connect(&selection_, &PageSelection::wordsKnown, this, &LinkWalk::go);
}

void LinkWalk::step(int by, int shownPage) {
    const auto start = selection_.start();
    const bool seen = start && std::abs(static_cast<int>(start->page) - shownPage) <= 1;
    wanted_ = Wanted{by, seen ? static_cast<int>(start->page) : shownPage, seen ? start : std::nullopt, start};
    go();
}

void LinkWalk::go() {
    if (!wanted_) return;
    if (selection_.start() != wanted_->before) return stop();
    for (const int count = static_cast<int>(pages_.sizes().size()); wanted_->page >= 1 && wanted_->page <= count;) {
        const std::vector<PageLink>* links = navigator_.linksOf(wanted_->page);
        if (!links) return;
        if (!links->empty()) {
            const PageWords* words = selection_.wordsOf(static_cast<std::uint32_t>(wanted_->page));
            if (!words) return;
            const Wanted wanted = *wanted_;
            if (chooseOn(wanted, *links, *words)) return;
        }
        wanted_->page += wanted_->by;
        wanted_->from.reset();
    }
    stop();
}

bool LinkWalk::chooseOn(const Wanted& wanted, const std::vector<PageLink>& links, const PageWords& words) {
    std::optional<Run> best;
    for (const PageLink& link : links) {
        const auto run = wordsIn(link.box, words.words);
        if (!run) continue;
        const bool forward = wanted.by > 0;
        if (wanted.from && (forward ? run->first <= wanted.from->index : run->first >= wanted.from->index)) continue;
        if (!best || (forward ? *run < *best : *run > *best)) best = run;
    }
    if (!best) return false;
    stop();
    selection_.chooseWords(static_cast<std::uint32_t>(wanted.page), best->first, best->last);
    const float height = pages_.sizes()[static_cast<std::size_t>(wanted.page) - 1].height;
    const float top = words.words[best->first].box.y;
    emit chosen(wanted.page - 1, height > 0 ? std::clamp(top / height, 0.f, 1.f) : 0.);
    return true;
}

}  // namespace carrel::app
