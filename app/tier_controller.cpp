#include "tier_controller.h"

#include "words.h"

#include <QLocale>

#include <algorithm>
#include <cmath>

namespace carrel::app {

constexpr auto kQuick = std::chrono::milliseconds(33), kIdle = std::chrono::milliseconds(250);
constexpr double kQuickSeconds = 1;    // after the last read: it goes on, or fades
constexpr double kWordsSeconds = 0.2;  // faster than that nobody reads
constexpr double kRateSeconds = 1;     // of two polls this far apart: what a person can follow

namespace {

QString percentText(double share) {
    const double percent = 100 * std::clamp(share, 0.0, 1.0);
    return QStringLiteral("%1\u00a0%").arg(QLocale().toString(percent, 'f', percent < 10 && percent > 0 ? 1 : 0));
}

QString countText(std::uint64_t count) {
    return QLocale().toString(static_cast<qulonglong>(count));
}

std::array<const TierUsage*, 3> usages(const TierReport& report) {
    return {&report.device, &report.host, &report.disk};
}

/// Of some rows: leaves by tier, reads by where they found it.
struct Totals {
    std::array<std::uint64_t, 4> leaves{};
    std::array<std::uint64_t, 3> reads{};
    std::uint64_t all() const { return leaves[0] + leaves[1] + leaves[2] + leaves[3]; }
    QString share(Tier tier) const {
        return percentText(static_cast<double>(leaves[static_cast<std::size_t>(tier)]) / static_cast<double>(all()));
    }
    void add(const LeafRow& row) {
        for (const LeafPlace& leaf : row.leaves) {
            ++leaves[static_cast<std::size_t>(leaf.tier)];
            for (std::size_t i = 0; i < 3; ++i) reads[i] += leaf.reads[i];
        }
    }
};

}  // namespace

TierController::TierController(EnginePort& port, QObject* parent) : QObject(parent), port_(port) {
    timer_.setParent(this);
    timer_.setObjectName(QStringLiteral("poll"));
    timer_.setInterval(kIdle);
    connect(&timer_, &QTimer::timeout, this, &TierController::poll);
    clock_.start();
}

void TierController::setWatching(bool watching) {
    if (watching == watching_) return;
    watching_ = watching;
    recent_.clear();  // what was read while nobody looked is no rate, and no news
    heat_.lookAway();
    if (watching) {
        timer_.start();
        poll();
    } else {
        timer_.stop();
    }
    emit watchingChanged();
}

void TierController::setDocument(const QString& sha) {
    if (sha == sha_) return;
    sha_ = sha;
    asked_ = 0;
    answering_.reset();
    arrived(std::nullopt);
    if (watching_) poll();
}

void TierController::poll() {
    if (asked_ != 0 || sha_.isEmpty()) return;
    asked_ = ++polls_;
    port_.tiers(sha_.toStdString(), [this, id = asked_](const Result<std::optional<TierView>>& view) {
        if (id != asked_) return;  // of another document
        asked_ = 0;
        arrived(view ? *view : std::nullopt);
    });
}

void TierController::arrived(std::optional<TierView> view) {
    const double now = static_cast<double>(clock_.nsecsElapsed()) * 1e-9;
    const bool opened = view.has_value() != view_.has_value();
    if (!view || (view_ && view_->counting != view->counting)) recent_.clear();  // counters began anew
    view_ = std::move(view);
    if (view_) {
        if (view_->report.steps > 0) answering_ = view_->report;
        heat_.look(*view_, recent_.empty() ? 0 : now - recent_.back().seconds);
        remember(now);
    } else {
        heat_.clear();
    }
    const bool quick = view_ && (now - moved_ < kQuickSeconds || heat_.fading());
    if (timer_.intervalAsDuration() != (quick ? kQuick : kIdle)) timer_.setInterval(quick ? kQuick : kIdle);
    emit changed();
    if (!opened && quick && now - worded_ < kWordsSeconds) return;
    worded_ = now;
    emit wordsChanged();
}

void TierController::remember(double now) {
    Poll look{now, {}, view_->report.steps};
    const auto all = usages(view_->report);
    for (std::size_t i = 0; i < all.size(); ++i) look.bytes[i] = all[i]->bytesRead;
    if (!recent_.empty() && (look.bytes != recent_.back().bytes || look.steps != recent_.back().steps)) moved_ = now;
    recent_.push_back(look);
    while (recent_.size() > 2 && now - recent_[1].seconds >= kRateSeconds) recent_.pop_front();
}

double TierController::perSecond(std::uint64_t before, std::uint64_t after) const {
    if (recent_.size() < 2 || after < before) return -1;
    const double seconds = recent_.back().seconds - recent_.front().seconds;
    return static_cast<double>(after - before) / std::max(seconds, 1e-3);
}

const std::vector<LeafRow>& TierController::rows() const {
    static const std::vector<LeafRow> none;
    return view_ ? view_->rows : none;
}

std::uint32_t TierController::leaves() const {
    if (!view_) return 0;
    std::uint32_t most = (view_->totalTokens + kViewTokens - 1) / kViewTokens;
    for (const LeafRow& row : view_->rows) most = std::max(most, static_cast<std::uint32_t>(row.leaves.size()));
    return most;
}

QVariantList TierController::tiers() const {
    if (!view_) return {};
    const QString names[] = {tr("Device"), tr("Host"), tr("Disk")};
    const QString dash = QStringLiteral("–");
    QVariantList list;
    const auto all = usages(view_->report);
    for (std::size_t i = 0; i < all.size(); ++i) {
        const TierUsage& use = *all[i];
        // What is on disk has no budget here: it is the document's size.
        const std::uint64_t budget = i == 2 ? 0 : use.budgetBytes;
        const auto ofBudget = [&](std::uint64_t bytes) {
            return budget == 0 ? 0.0 : std::min(1.0, static_cast<double>(bytes) / static_cast<double>(budget));
        };
        const std::uint64_t looked = use.hits + use.misses;
        const double rate = recent_.empty() ? -1 : perSecond(recent_.front().bytes[i], recent_.back().bytes[i]);
        list << QVariantMap{
            {QStringLiteral("name"), names[i]},
            {QStringLiteral("used"), budget > 0 ? tr("%1 of %2").arg(bytesText(use.usedBytes), bytesText(budget))
                                     : use.usedBytes > 0 ? bytesText(use.usedBytes)
                                                         : dash},
            {QStringLiteral("peak"), budget > 0 ? bytesText(use.peakBytes) : dash},
            {QStringLiteral("usedShare"), ofBudget(use.usedBytes)},
            {QStringLiteral("peakShare"), ofBudget(use.peakBytes)},
            {QStringLiteral("found"),
             looked > 0 ? percentText(static_cast<double>(use.hits) / static_cast<double>(looked)) : dash},
            {QStringLiteral("read"), bytesText(use.bytesRead)},
            {QStringLiteral("rate"),
             rate < 0 ? dash : tr("%1 MB/s").arg(QLocale().toString(rate / 1e6, 'f', rate < 1e7 ? 1 : 0))},
            {QStringLiteral("stalls"), tr("%1 s").arg(QLocale().toString(use.stallS, 'f', 1))}};
    }
    return list;
}

QVariantList TierController::layers() const {
    std::vector<std::pair<std::uint32_t, Totals>> all;
    for (const LeafRow& row : rows()) {
        if (all.empty() || all.back().first != row.layer) all.emplace_back(row.layer, Totals());
        all.back().second.add(row);
    }
    QVariantList list;
    for (const auto& [layer, of] : all) {
        if (of.all() == 0) continue;
        list << QVariantMap{{QStringLiteral("name"), tr("Layer %1").arg(layer + 1)},
                            {QStringLiteral("device"), of.share(Tier::Device)},
                            {QStringLiteral("host"), of.share(Tier::Host)},
                            {QStringLiteral("disk"), of.share(Tier::Disk)},
                            {QStringLiteral("reads"), countText(of.reads[0] + of.reads[1] + of.reads[2])},
                            {QStringLiteral("fromHost"), countText(of.reads[1])},
                            {QStringLiteral("fromDisk"), countText(of.reads[2])}};
    }
    return list;
}

QString TierController::summary() const {
    if (!view_) return {};
    const QString codec = QString::fromStdString(view_->report.codec);
    if (!answering_) return tr("Kept as %1. Nothing was answered from it since it was opened.").arg(codec);
    const QString attended =
        tr("A word of the answer attends to %1 of the document").arg(percentText(answering_->tokensReadShare));
    const QString judging = tr("judging takes %1 of the time").arg(percentText(answering_->judgingShare));
    const QString all = tr("%1; %2. Kept as %3.").arg(attended, judging, codec);
    const double speed = recent_.empty() ? -1 : perSecond(recent_.front().steps, recent_.back().steps);
    if (speed <= 0) return all;
    return tr("%1 tokens a second. %2").arg(QLocale().toString(speed, 'f', speed < 10 ? 1 : 0), all);
}

QString TierController::places() const {
    if (!view_) return {};
    Totals of;
    for (const LeafRow& row : view_->rows) of.add(row);
    if (of.all() == 0) return tr("Nothing of the document is kept yet");
    const QString where = tr("%1 in device, %2 in host, %3 on disk only")
                              .arg(of.share(Tier::Device), of.share(Tier::Host), of.share(Tier::Disk));
    if (of.leaves[3] == 0) return where;
    return tr("%1, %2 past what its layers look at").arg(where, of.share(Tier::Unused));
}

QString TierController::reads() const {
    if (!view_) return {};
    Totals of;
    for (const LeafRow& row : view_->rows) of.add(row);
    return tr("Read since the question: %1 pieces in device, %2 brought from host, %3 brought from disk")
        .arg(countText(of.reads[0]), countText(of.reads[1]), countText(of.reads[2]));
}

TierController::Cell TierController::cellAt(int row, int leaf) const {
    if (row < 0 || leaf < 0 || row >= static_cast<int>(rows().size())) return {};
    const auto& leaves = rows()[static_cast<std::size_t>(row)].leaves;
    const int count = static_cast<int>(leaves.size());
    if (leaf >= count) return {};
    int first = leaf, end = leaf + 1;
    while (first > 0 && !leaves[static_cast<std::size_t>(first)].startsChunk) --first;
    while (end < count && !leaves[static_cast<std::size_t>(end)].startsChunk) ++end;
    return {first, end - first};
}

QString TierController::pageOf(std::uint32_t token) const {
    const auto& starts = view_->pageStarts;
    const auto page = std::ranges::upper_bound(starts, token) - starts.begin();
    return page == 0 ? QString() : tr(", p. %1").arg(page);
}

QString TierController::textOf(int row, int leaf) const {
    const Cell cell = cellAt(row, leaf);
    if (cell.count == 0) return {};
    const LeafRow& of = rows()[static_cast<std::size_t>(row)];
    Totals totals;
    double use = 0;
    LeafRow these{of.layer, of.head, {of.leaves.begin() + cell.first, of.leaves.begin() + cell.first + cell.count}};
    totals.add(these);
    for (const LeafPlace& each : these.leaves) use += each.use / 65536.0 / cell.count;
    const auto tier = std::ranges::max_element(totals.leaves) - totals.leaves.begin();
    const QString where[] = {tr("in device"), tr("in host"), tr("on disk only"), tr("past what this layer looks at")};
    const auto first = static_cast<std::uint32_t>(cell.first) * kViewTokens;
    const QString place = tr("Layer %1, head %2, tokens %3 to %4%5: %6")
                              .arg(of.layer + 1)
                              .arg(of.head + 1)
                              .arg(first)
                              .arg(first + static_cast<std::uint32_t>(cell.count) * kViewTokens - 1)
                              .arg(pageOf(first), where[tier]);
    const std::uint64_t reads = totals.reads[0] + totals.reads[1] + totals.reads[2];
    const QString lately = use < 0.0005 ? tr("%1, not read lately").arg(place)
                                        : tr("%1, read for %2 of the last words").arg(place, percentText(use));
    if (reads == 0) return lately;
    if (totals.reads[1] + totals.reads[2] == 0) return tr("%1; %2 reads").arg(lately, countText(reads));
    return tr("%1; %2 reads, %3 from host, %4 from disk")
        .arg(lately, countText(reads), countText(totals.reads[1]), countText(totals.reads[2]));
}

void TierController::showPage(int row, int leaf) {
    const Cell cell = cellAt(row, leaf);
    if (cell.count == 0) return;
    const auto first = static_cast<std::uint32_t>(cell.first) * kViewTokens;
    port_.placeOf(sha_.toStdString(), first, static_cast<std::uint32_t>(cell.count) * kViewTokens,
                  [this, sha = sha_](const Result<Source>& source) {
                      if (source && sha == sha_) emit pageFound(*source);  // before the document's words: no page
                  });
}

}  // namespace carrel::app
