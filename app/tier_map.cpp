#include "tier_map.h"

#include <QImage>
#include <QQuickWindow>
#include <QSGSimpleTextureNode>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace carrel::app {

constexpr int kLeastRow = 2, kMostRow = 14;  // px
constexpr int kShades = 32;
constexpr double kUnused = 0.35;  // of its colour: seen, and told from what is used

namespace {

QRgb mixed(const QColor& from, const QColor& to, double share) {
    const auto mix = [share](int a, int b) { return static_cast<int>(a + (b - a) * share); };
    return qRgb(mix(from.red(), to.red()), mix(from.green(), to.green()), mix(from.blue(), to.blue()));
}

}  // namespace

TierMap::TierMap(QQuickItem* parent) : QQuickItem(parent) {
    setFlag(ItemHasContents);
    connect(this, &TierMap::coloursChanged, this, &QQuickItem::update);
    connect(this, &TierMap::roomChanged, this, &TierMap::measure);
}

void TierMap::setTiers(TierController* tiers) {
    if (tiers == tiers_) return;
    if (tiers_) disconnect(tiers_, nullptr, this, nullptr);
    tiers_ = tiers;
    if (tiers_) connect(tiers_, &TierController::changed, this, &TierMap::measure);
    emit tiersChanged();
    measure();
}

void TierMap::measure() {
    const int rows = tiers_ ? static_cast<int>(tiers_->rows().size()) : 0;
    const int height = rows == 0 ? 1 : std::clamp(static_cast<int>(room_) / rows, kLeastRow, kMostRow);
    if (rows != rows_ || height != rowHeight_) {
        rows_ = rows;
        rowHeight_ = height;
        setImplicitHeight(rows * height);
        emit rowsChanged();
    }
    update();
}

void TierMap::geometryChange(const QRectF& now, const QRectF& before) {
    QQuickItem::geometryChange(now, before);
    if (now.size() != before.size()) update();
}

QString TierMap::textAt(int row, qreal x) const {
    if (!tiers_ || width() <= 0 || x < 0 || x >= width()) return {};
    return tiers_->at(row, static_cast<std::uint32_t>(x / width() * tiers_->tokens()));
}

QImage TierMap::draw(int columns, int line) const {
    const auto& rows = tiers_->rows();
    std::array<std::array<QRgb, kShades>, 3> shades;
    const QColor* colours[] = {&device_, &host_, &disk_};
    for (std::size_t tier = 0; tier < 3; ++tier)
        for (int i = 0; i < kShades; ++i)
            shades[tier][static_cast<std::size_t>(i)] =
                mixed(paper_, *colours[tier], kUnused + (1 - kUnused) * i / (kShades - 1));
    QImage image(columns, static_cast<int>(rows.size()) * line, QImage::Format_RGB32);
    image.fill(paper_);
    const double scale = static_cast<double>(columns) / std::max(1u, tiers_->tokens());
    for (std::size_t r = 0; r < rows.size(); ++r) {
        const int top = static_cast<int>(r) * line;
        auto* first = reinterpret_cast<QRgb*>(image.scanLine(top));
        for (const ChunkPlace& chunk : rows[r].chunks) {
            const int from = std::min(columns, static_cast<int>(chunk.firstToken * scale));
            const int to =
                std::clamp(static_cast<int>((double(chunk.firstToken) + chunk.tokens) * scale), from, columns);
            // Its square root: most chunks are read for few of the words, and should be told apart.
            const double use = std::sqrt(std::clamp(static_cast<double>(chunk.use), 0.0, 1.0));
            const auto shade = static_cast<std::size_t>(use * (kShades - 1));
            std::fill(first + from, first + to, shades[std::min<std::size_t>(chunk.tier, 2)][shade]);
        }
        // A hairline sets layers apart, where there is room for one.
        const bool lastHead = r + 1 == rows.size() || rows[r + 1].layer != rows[r].layer;
        const int lines = line > 2 && lastHead ? line - 1 : line;
        for (int i = 1; i < lines; ++i)
            std::memcpy(image.scanLine(top + i), first, static_cast<std::size_t>(columns) * sizeof(QRgb));
    }
    return image;
}

QSGNode* TierMap::updatePaintNode(QSGNode* old, UpdatePaintNodeData*) {
    auto* node = static_cast<QSGSimpleTextureNode*>(old);
    const double ratio = window()->effectiveDevicePixelRatio();
    const int columns = static_cast<int>(width() * ratio);
    if (!tiers_ || rows_ == 0 || columns == 0 || tiers_->rows().empty()) {
        delete node;
        return nullptr;
    }
    if (!node) {
        node = new QSGSimpleTextureNode;
        node->setOwnsTexture(true);
        node->setFiltering(QSGTexture::Nearest);
    }
    const QImage image = draw(columns, std::max(1, static_cast<int>(rowHeight_ * ratio)));
    node->setTexture(window()->createTextureFromImage(image, QQuickWindow::TextureIsOpaque));
    node->setRect(0, 0, width(), rows_ * rowHeight_);
    return node;
}

}  // namespace carrel::app
