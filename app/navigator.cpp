#include "navigator.h"

#include <QTimer>
#include <QUrl>

#include <algorithm>
#include <iterator>

namespace carrel::app {
namespace {

constexpr std::size_t kLongestPast = 100;
constexpr int kFirstPagesMs = 250;  // the pages in view are drawn first: thousands of entries take a while

// A file may name any program's own scheme; a browser and a mail program are what a reader expects behind a link.
bool isAddress(const std::string& address) {
    const QString scheme = QUrl(QString::fromStdString(address), QUrl::StrictMode).scheme();
    return scheme == QLatin1String("http") || scheme == QLatin1String("https") || scheme == QLatin1String("mailto");
}

}  // namespace

Navigator::Navigator(EnginePort& port, Passwords& passwords, PagesModel& pages, QObject* parent)
    : QObject(parent), port_(port), passwords_(passwords), pages_(pages) {}

void Navigator::open(const QString& document) {
    document_ = document;
    links_.clear();
    asked_.clear();
    past_.clear();
    outline_.clear();
    places_.clear();
    emit pastChanged();
    emit outlineChanged();
    if (!document.isEmpty()) QTimer::singleShot(kFirstPagesMs, this, [this, document] { askForOutline(document); });
}

void Navigator::askForOutline(const QString& document) {
    if (document != document_) return;
    const std::string sha = document.toStdString();
    port_.outline(sha, passwords_.of(sha), [this, document](const Result<std::vector<OutlineEntry>>& entries) {
        if (document != document_ || !entries) return;  // no document is worse for having none
        outline_.clear();                               // of a document that was opened twice
        places_.clear();
        for (const OutlineEntry& entry : *entries) {
            places_.push_back(placeOf(entry.target));
            outline_ << QVariantMap{{QStringLiteral("leads"), places_.back().row >= 0},
                                    {QStringLiteral("title"), QString::fromStdString(entry.title)},
                                    {QStringLiteral("level"), entry.level},
                                    {QStringLiteral("page"), entry.target.page}};
        }
        emit outlineChanged();
    });
}

Navigator::Place Navigator::placeOf(const Target& target) const {
    const auto& sizes = pages_.sizes();
    if (sizes.empty()) return {pages_.rowOf(target.byte), 0};
    if (target.page == 0 || target.page > sizes.size()) return {};
    const float height = sizes[target.page - 1].height;
    return {static_cast<int>(target.page) - 1, height > 0 ? std::clamp(target.y / height, 0.f, 1.f) : 0.};
}

void Navigator::follow(int entry) {
    if (entry < 0 || entry >= static_cast<int>(places_.size())) return;
    const Place& place = places_[static_cast<std::size_t>(entry)];
    if (place.row >= 0) emit placeWanted(place.row, place.down, true);
}

int Navigator::entryAt(int row, double down) const {
    int best = -1;
    for (std::size_t i = 0; i < places_.size(); ++i) {
        const Place& place = places_[i];
        if (place.row < 0 || place > Place{row, down}) continue;
        if (best < 0 || place >= places_[static_cast<std::size_t>(best)]) best = static_cast<int>(i);
    }
    return best;
}

const std::vector<PageLink>* Navigator::linksOf(int page) {
    const auto number = static_cast<std::uint32_t>(std::max(0, page));
    const auto known = links_.find(number);
    if (known != links_.end()) return &known->second;
    if (document_.isEmpty() || number == 0 || number > pages_.sizes().size() || asked_.contains(page)) return nullptr;
    asked_.insert(page);
    const std::string sha = document_.toStdString();
    port_.links(sha, passwords_.of(sha), number,
                [this, number, document = document_](const Result<std::vector<PageLink>>& links) {
                    if (document != document_) return;
                    auto& kept = links_[number];  // none where they could not be read: no page is worse for it
                    if (links)
                        std::ranges::copy_if(*links, std::back_inserter(kept), [](const PageLink& link) {
                            return link.target.page != 0 || isAddress(link.address);
                        });
                    emit linksKnown();
                });
    return nullptr;
}

const PageLink* Navigator::linkAt(int page, const QPointF& at) {
    const std::vector<PageLink>* links = linksOf(page);
    if (!links) return nullptr;
    const auto hit = std::ranges::find_if(*links, [&](const PageLink& link) {
        return QRectF(link.box.x, link.box.y, link.box.width, link.box.height).contains(at);
    });
    return hit == links->end() ? nullptr : &*hit;
}

bool Navigator::isLinkAt(int page, const QPointF& at) {
    return linkAt(page, at) != nullptr;
}

bool Navigator::followLink(int page, const QPointF& at) {
    const PageLink* link = linkAt(page, at);
    if (!link) return false;
    if (link->target.page == 0) {
        emit addressWanted(QString::fromStdString(link->address));
        return true;
    }
    const Place place = placeOf(link->target);
    if (place.row >= 0) emit placeWanted(place.row, place.down, true);
    return true;
}

void Navigator::leave(int row, double down) {
    const Place place{row, down};
    if (!past_.empty() && past_.back() == place) return;
    past_.push_back(place);
    if (past_.size() > kLongestPast) past_.erase(past_.begin());
    emit pastChanged();
}

void Navigator::back() {
    if (past_.empty()) return;
    const Place place = past_.back();
    past_.pop_back();
    emit pastChanged();
    emit placeWanted(place.row, place.down, false);
}

}  // namespace carrel::app
