#include "document/pdf_helper/glib_owners.h"
#include "document/pdf_helper/poppler_document.h"

#include <algorithm>
#include <cmath>

namespace carrel::pdf {
namespace {

struct FreeAction {
    void operator()(PopplerAction* action) const { poppler_action_free(action); }
};
struct FreeDest {
    void operator()(PopplerDest* dest) const { poppler_dest_free(dest); }
};
struct FreeIter {
    void operator()(PopplerIndexIter* iter) const { poppler_index_iter_free(iter); }
};
struct FreeLinks {
    void operator()(GList* links) const { poppler_page_free_link_mapping(links); }
};
using IterPtr = std::unique_ptr<PopplerIndexIter, FreeIter>;

double heightOf(PopplerPage* page) {
    double width = 0, height = 0;
    poppler_page_get_size(page, &width, &height);
    return height;
}

Target targetOf(PopplerDocument* document, const PopplerDest* dest) {
    std::unique_ptr<PopplerDest, FreeDest> found;
    if (dest && dest->type == POPPLER_DEST_NAMED) {
        found.reset(dest->named_dest ? poppler_document_find_dest(document, dest->named_dest) : nullptr);
        dest = found.get();
    }
    if (!dest || dest->page_num < 1 || dest->page_num > poppler_document_get_n_pages(document)) return {};
    Target target{.page = static_cast<std::uint32_t>(dest->page_num)};
    const bool placed = (dest->type == POPPLER_DEST_XYZ && dest->change_top) || dest->type == POPPLER_DEST_FITH ||
                        dest->type == POPPLER_DEST_FITBH || dest->type == POPPLER_DEST_FITR;
    if (!placed || !std::isfinite(dest->top)) return target;
    const auto page = pageOf(document, target.page - 1);
    const double height = page ? heightOf(page.get()) : 0;
    target.y = static_cast<float>(std::clamp(height - dest->top, 0., std::max(0., height)));
    return target;
}

std::string name(const char* text) {
    if (!text || !g_utf8_validate(text, -1, nullptr)) return {};
    std::string out(text);
    if (out.size() > kMaxNameBytes)  // at the start of a character
        out.resize(static_cast<std::size_t>(g_utf8_find_prev_char(text, text + kMaxNameBytes + 1) - text));
    return out;
}

void walk(PopplerDocument* document, PopplerIndexIter* iter, std::uint32_t level, std::vector<OutlineEntry>& out) {
    do {
        if (out.size() >= kMaxOutline) return;
        const std::unique_ptr<PopplerAction, FreeAction> action(poppler_index_iter_get_action(iter));
        if (action) {
            OutlineEntry entry{name(action->any.title), level, {}};
            if (action->type == POPPLER_ACTION_GOTO_DEST) entry.target = targetOf(document, action->goto_dest.dest);
            if (!entry.title.empty()) out.push_back(std::move(entry));
        }
        const IterPtr child(level + 1 < kMaxOutlineDepth ? poppler_index_iter_get_child(iter) : nullptr);
        if (child) walk(document, child.get(), level + 1, out);
    } while (poppler_index_iter_next(iter));
}

}  // namespace

std::vector<OutlineEntry> PopplerFile::outline() const {
    std::vector<OutlineEntry> out;
    if (const IterPtr iter(poppler_index_iter_new(document_.get())); iter) walk(document_.get(), iter.get(), 0, out);
    return out;
}

Outcome PopplerFile::links(std::uint32_t index, std::vector<PageLink>& out) const {
    const auto page = pageOf(document_.get(), index);
    if (!page) return Outcome::NoPage;
    const double height = heightOf(page.get());
    const std::unique_ptr<GList, FreeLinks> mappings(poppler_page_get_link_mapping(page.get()));
    for (const GList* at = mappings.get(); at && out.size() < kMaxLinks; at = at->next) {
        const auto* mapping = static_cast<const PopplerLinkMapping*>(at->data);
        const auto& area = mapping->area;
        const PopplerAction* action = mapping->action;
        if (!action || !std::isfinite(area.x1 + area.x2 + area.y1 + area.y2)) continue;
        PageLink link;
        link.box = {static_cast<float>(std::min(area.x1, area.x2)),
                    static_cast<float>(height - std::max(area.y1, area.y2)),
                    static_cast<float>(std::fabs(area.x2 - area.x1)), static_cast<float>(std::fabs(area.y2 - area.y1))};
        if (action->type == POPPLER_ACTION_GOTO_DEST) link.target = targetOf(document_.get(), action->goto_dest.dest);
        if (action->type == POPPLER_ACTION_URI) link.address = name(action->uri.uri);
        if (link.target.page != 0 || !link.address.empty()) out.push_back(std::move(link));
    }
    std::ranges::reverse(out);  // Poppler's list begins with the last
    return Outcome::Ok;
}

}  // namespace carrel::pdf
