#pragma once

#include "navigator.h"
#include "page_selection.h"

#include <optional>

namespace carrel::app {

/// From link to link without a mouse: the words of the next one are chosen, on this page or a later one. What links and
/// words a page has is heard of later; the walk goes on then, unless something else was chosen meanwhile.
class LinkWalk : public QObject {
    Q_OBJECT

  public:
    LinkWalk(Navigator& navigator, PageSelection& selection, PagesModel& pages, QObject* parent = nullptr);

    /// 1: the next link, -1: the one before. From the chosen words where those are in view, else from the page shown.
    void step(int by, int shownPage);
    void stop() { wanted_.reset(); }

  signals:
    void chosen(int row, double down);  // the row of the list, and how far down its height

  private:
    struct Wanted {
        int by = 1, page = 0;
        std::optional<PageSelection::WordRef> from,
            before;  // the walk's place on the page; what was chosen at its begin
    };
    void go();
    bool chooseOn(const Wanted& wanted, const std::vector<PageLink>& links, const PageWords& words);

    Navigator& navigator_;
    PageSelection& selection_;
    PagesModel& pages_;
    std::optional<Wanted> wanted_;
};

}  // namespace carrel::app
