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
constexpr double kUnused = 0.35;    // of its colour: seen, and told from what is used
constexpr float kLongTerm = 0.75f;  // brightness of what every word reads, between reads
constexpr double kLeastStep = 4;    // px between two cells that keys go to

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

double TierMap::leafWidth() const {
    return tiers_ && tiers_->leaves() > 0 ? width() / tiers_->leaves() : 0;
}

int TierMap::leafAt(qreal x) const {
    const double wide = leafWidth();
    return wide > 0 && x >= 0 ? static_cast<int>(x / wide) : -1;
}

QRectF TierMap::cellRect(int row, int leaf) const {
    if (!tiers_) return {};
    const auto cell = tiers_->cellAt(row, leaf);
    if (cell.count == 0) return {};
    const double wide = leafWidth();
    return {cell.first * wide, static_cast<double>(row) * rowHeight_, cell.count * wide,
            static_cast<double>(rowHeight_)};
}

QString TierMap::textOf(int row, int leaf) const {
    return tiers_ ? tiers_->textOf(row, leaf) : QString();
}

int TierMap::next(int row, int leaf, int step) const {
    const double wide = leafWidth();
    if (wide <= 0) return leaf;
    for (int at = leaf;;) {
        const auto cell = tiers_->cellAt(row, at);
        const int to = step > 0 ? cell.first + cell.count : cell.first - 1;
        const auto other = tiers_->cellAt(row, to);
        if (cell.count == 0 || other.count == 0) return tiers_->cellAt(row, leaf).first;  // the end
        at = other.first;
        if (std::abs(at - leaf) * wide >= kLeastStep) return at;
    }
}

namespace {

/// Colours of the tiers in shades from unused to read at this moment.
class Shades {
  public:
    Shades(const QColor& paper, std::initializer_list<QColor> tiers) {
        std::size_t tier = 0;
        for (const QColor& colour : tiers) {
            for (int i = 0; i < kShades; ++i)
                all_[tier][static_cast<std::size_t>(i)] =
                    mixed(paper, colour, kUnused + (1 - kUnused) * i / (kShades - 1));
            ++tier;
        }
        all_[tier].fill(paper.rgb());  // never asked for
    }
    QRgb of(std::size_t tier, float level) const { return all_[tier][static_cast<std::size_t>(level * (kShades - 1))]; }

  private:
    std::array<std::array<QRgb, kShades>, 4> all_;
};

/// Leaves [from, to) of a row as one colour: their tiers in proportion, the brightest's brightness, and what was
/// brought from somewhere on top.
QRgb blend(const LeafRow& row, const std::vector<TierHeat::Leaf>& heat, std::size_t from, std::size_t to,
           const Shades& shades, const std::array<QColor, 2>& origin) {
    std::array<int, 4> tiers{};
    float level = 0, moved = 0;
    std::size_t origins = 0;
    for (std::size_t i = from; i < to; ++i) {
        const LeafPlace& leaf = row.leaves[i];
        ++tiers[static_cast<std::size_t>(leaf.tier)];
        // Its square root: most leaves are read for few of the words, and should be told apart.
        level = std::max({level, kLongTerm * std::sqrt(static_cast<float>(leaf.use) / 65536), heat[i].read});
        if (heat[i].moved > moved) {
            moved = heat[i].moved;
            origins = heat[i].from == 2 ? 1 : 0;
        }
    }
    int red = 0, green = 0, blue = 0;
    for (std::size_t tier = 0; tier < tiers.size(); ++tier) {
        const QRgb shade = shades.of(tier, level);
        red += tiers[tier] * qRed(shade);
        green += tiers[tier] * qGreen(shade);
        blue += tiers[tier] * qBlue(shade);
    }
    const int count = static_cast<int>(to - from);
    const QColor plain(red / count, green / count, blue / count);
    return moved > 0 ? mixed(plain, origin[origins], moved) : plain.rgb();
}

}  // namespace

QImage TierMap::draw(int columns, int line) const {
    const auto& rows = tiers_->rows();
    const Shades shades(paper_, {device_, host_, disk_});
    const std::array<QColor, 2> origin{host_, arrived_};
    QImage image(columns, static_cast<int>(rows.size()) * line, QImage::Format_RGB32);
    image.fill(paper_);
    const std::size_t leaves = std::max(1u, tiers_->leaves()), wide = static_cast<std::size_t>(columns);
    for (std::size_t r = 0; r < rows.size(); ++r) {
        const int top = static_cast<int>(r) * line;
        auto* first = reinterpret_cast<QRgb*>(image.scanLine(top));
        const std::size_t there = rows[r].leaves.size();
        for (std::size_t column = 0; column < wide; ++column) {
            const std::size_t from = column * leaves / wide;
            const std::size_t to = std::min(there, std::max(from + 1, (column + 1) * leaves / wide));
            if (from < to) first[column] = blend(rows[r], tiers_->heat().rows()[r], from, to, shades, origin);
        }
        // A hairline sets layers apart, where there is room for one.
        const bool lastHead = r + 1 == rows.size() || rows[r + 1].layer != rows[r].layer;
        const int lines = line > 2 && lastHead ? line - 1 : line;
        for (int i = 1; i < lines; ++i) std::memcpy(image.scanLine(top + i), first, wide * sizeof(QRgb));
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
