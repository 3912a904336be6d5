#include "page_heat.h"

#include "words.h"

#include <QStringList>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace carrel::app {
namespace {

constexpr std::size_t kNamed = 3;  // pages in the summary
constexpr float kLeastNamed = 0.02f;

QString percentText(double share) {
    const int percent = static_cast<int>(std::lround(100 * share));
    return percent < 1 ? PageHeat::tr("less than 1 %") : PageHeat::tr("%1 %").arg(percent);
}

}  // namespace

void PageHeat::setDocument(const DocumentRow& row) {
    withoutText_ = row.pagesWithoutText;
    show({});
}

void PageHeat::show(const TurnRow& turn) {
    if (turn.pageShares.empty() && shares_.empty()) return;
    shares_ = turn.pageShares;
    read_ = turn.coverage.pagesRead;
    goesOn_ = turn.coverage.goesOn;
    emit changed();
}

PageHeat::Page PageHeat::kind(int page) const {
    if (std::ranges::binary_search(withoutText_, static_cast<std::uint32_t>(page))) return Page::NoText;
    // A page that was read in part has its share, though coverage does not count it.
    return static_cast<std::uint32_t>(page) <= read_ || share(page) > 0 ? Page::Read : Page::Unread;
}

int PageHeat::mostRead(int firstPage, int lastPage) const {
    int best = firstPage;
    for (int page = firstPage; page <= lastPage; ++page)
        if (share(page) > share(best)) best = page;
    return best;
}

QString PageHeat::summary() const {
    std::vector<std::uint32_t> pages(shares_.size());
    std::iota(pages.begin(), pages.end(), 1u);
    std::ranges::stable_sort(pages, [&](std::uint32_t a, std::uint32_t b) { return shares_[a - 1] > shares_[b - 1]; });
    while (pages.size() > kNamed || (!pages.empty() && shares_[pages.back() - 1] < kLeastNamed)) pages.pop_back();
    QStringList names, sentences;
    for (const std::uint32_t page : pages) names << QString::number(page);
    if (names.size() == 1) sentences << tr("Page most read: %1").arg(names.first());
    if (names.size() > 1) sentences << tr("Pages most read: %1").arg(names.join(QStringLiteral(", ")));
    std::uint32_t unread = 0;
    for (int page = this->pages(); page > 0 && kind(page) != Page::Read; --page)
        unread = static_cast<std::uint32_t>(page);
    if (unread > read_ && unread != 0 && read_ < shares_.size()) {
        std::vector<std::uint32_t> rest(shares_.size() - unread + 1);
        std::iota(rest.begin(), rest.end(), unread);
        QString which = pagesText(rest);
        which[0] = which[0].toUpper();
        if (goesOn_)
            sentences << (rest.size() == 1 ? tr("%1 was not read yet") : tr("%1 were not read yet")).arg(which);
        else
            sentences << (rest.size() == 1 ? tr("%1 was not used") : tr("%1 were not used")).arg(which);
    }
    return sentences.join(QStringLiteral(". "));
}

QString PageHeat::textOf(int firstPage, int lastPage) const {
    if (firstPage < 1 || lastPage > pages() || lastPage < firstPage) return {};
    double sum = 0;
    bool read = false, text = false;
    for (int page = firstPage; page <= lastPage; ++page) {
        sum += share(page);
        read |= kind(page) == Page::Read;
        text |= kind(page) != Page::NoText;
    }
    const QString name =
        firstPage == lastPage ? tr("Page %1").arg(firstPage) : tr("Pages %1-%2").arg(firstPage).arg(lastPage);
    if (!text) return tr("%1: no text").arg(name);
    if (!read) return (goesOn_ ? tr("%1: not read yet") : tr("%1: not used")).arg(name);
    return tr("%1: %2 of the attention").arg(name, percentText(sum));
}

}  // namespace carrel::app
