#include "tier_controller.h"

#include "words.h"

#include <QLocale>

#include <algorithm>

namespace carrel::app {

constexpr auto kPollInterval = std::chrono::milliseconds(250);
constexpr double kRateSeconds = 1;  // of two polls this far apart: what a person can follow

namespace {

QString percentText(double share) {
    const double percent = 100 * std::clamp(share, 0.0, 1.0);
    return QStringLiteral("%1\u00a0%").arg(QLocale().toString(percent, 'f', percent < 10 && percent > 0 ? 1 : 0));
}

std::array<const TierUsage*, 3> usages(const TierReport& report) {
    return {&report.device, &report.host, &report.disk};
}

}  // namespace

TierController::TierController(EnginePort& port, QObject* parent) : QObject(parent), port_(port) {
    timer_.setInterval(kPollInterval);
    connect(&timer_, &QTimer::timeout, this, &TierController::poll);
    clock_.start();
}

void TierController::setWatching(bool watching) {
    if (watching == watching_) return;
    watching_ = watching;
    recent_.clear();  // what was read while nobody looked is no rate
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

void TierController::arrived(const std::optional<TierView>& view) {
    view_ = view;
    tokens_ = 0;
    if (view_) {
        for (const ChunkRow& row : view_->rows)
            for (const ChunkPlace& chunk : row.chunks) tokens_ = std::max(tokens_, chunk.firstToken + chunk.tokens);
        if (view_->report.steps > 0) answering_ = view_->report;
        Poll now{static_cast<double>(clock_.nsecsElapsed()) * 1e-9, {}};
        const auto all = usages(view_->report);
        for (std::size_t i = 0; i < all.size(); ++i) now.bytes[i] = all[i]->bytesRead;
        const auto began = [&](const Poll& then) {
            for (std::size_t i = 0; i < now.bytes.size(); ++i)
                if (now.bytes[i] < then.bytes[i]) return true;
            return false;
        };
        if (!recent_.empty() && began(recent_.back())) recent_.clear();  // counters start over with a measurement
        recent_.push_back(now);
        while (recent_.size() > 2 && now.seconds - recent_[1].seconds >= kRateSeconds) recent_.pop_front();
    } else {
        recent_.clear();
    }
    emit changed();
}

double TierController::rate(std::size_t tier) const {
    if (recent_.size() < 2) return -1;
    const double seconds = recent_.back().seconds - recent_.front().seconds;
    return static_cast<double>(recent_.back().bytes[tier] - recent_.front().bytes[tier]) / std::max(seconds, 1e-3);
}

const std::vector<ChunkRow>& TierController::rows() const {
    static const std::vector<ChunkRow> none;
    return view_ ? view_->rows : none;
}

QVariantList TierController::tiers() const {
    if (!view_) return {};
    const QString names[] = {tr("Device"), tr("Host"), tr("Disk")};
    const QString dash = QStringLiteral("–");
    QVariantList list;
    const auto all = usages(view_->report);
    for (std::size_t i = 0; i < all.size(); ++i) {
        const TierUsage& use = *all[i];
        const QString used = use.budgetBytes > 0
                                 ? tr("%1 of %2").arg(bytesText(use.usedBytes), bytesText(use.budgetBytes))
                             : use.usedBytes > 0 ? bytesText(use.usedBytes)
                                                 : dash;
        const std::uint64_t looked = use.hits + use.misses;
        const double perSecond = rate(i);
        list << QVariantMap{
            {QStringLiteral("name"), names[i]},
            {QStringLiteral("used"), used},
            {QStringLiteral("found"),
             looked > 0 ? percentText(static_cast<double>(use.hits) / static_cast<double>(looked)) : dash},
            {QStringLiteral("read"), bytesText(use.bytesRead)},
            {QStringLiteral("rate"),
             perSecond < 0 ? dash
                           : tr("%1 MB/s").arg(QLocale().toString(perSecond / 1e6, 'f', perSecond < 1e7 ? 1 : 0))},
            {QStringLiteral("stalls"), tr("%1 s").arg(QLocale().toString(use.stallS, 'f', 1))}};
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
    return tr("%1; %2. Kept as %3.").arg(attended, judging, codec);
}

QString TierController::places() const {
    if (!view_) return {};
    std::array<double, 3> tokens{};
    double all = 0;
    for (const ChunkRow& row : view_->rows)
        for (const ChunkPlace& chunk : row.chunks) {
            tokens[std::min<std::size_t>(chunk.tier, 2)] += chunk.tokens;
            all += chunk.tokens;
        }
    if (all == 0) return tr("Nothing of the document is kept yet.");
    return tr("%1 in device, %2 in host, %3 on disk only")
        .arg(percentText(tokens[0] / all), percentText(tokens[1] / all), percentText(tokens[2] / all));
}

QString TierController::at(int row, std::uint32_t token) const {
    if (row < 0 || row >= static_cast<int>(rows().size())) return {};
    const ChunkRow& layer = rows()[static_cast<std::size_t>(row)];
    const auto chunk = std::ranges::find_if(layer.chunks, [&](const ChunkPlace& one) {
        return token >= one.firstToken && token - one.firstToken < one.tokens;
    });
    if (chunk == layer.chunks.end()) return {};
    const QString where = chunk->tier == 0 ? tr("in device") : chunk->tier == 1 ? tr("in host") : tr("on disk only");
    const QString place = tr("Layer %1, head %2, tokens %3 to %4: %5")
                              .arg(layer.layer + 1)
                              .arg(layer.head + 1)
                              .arg(chunk->firstToken)
                              .arg(chunk->firstToken + chunk->tokens - 1)
                              .arg(where);
    if (chunk->use <= 0) return tr("%1, not read lately").arg(place);
    return tr("%1, read for %2 of the last words").arg(place, percentText(chunk->use));
}

}  // namespace carrel::app
