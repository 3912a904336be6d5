#include "heat_map.h"

#include <QImage>
#include <QPainter>
#include <QQuickWindow>
#include <QSGSimpleTextureNode>

#include <algorithm>
#include <cmath>

namespace carrel::app {

constexpr qreal kLeastCell = 3;  // px, with the gap to the next
constexpr qreal kMostCell = 40;

HeatMap::HeatMap(QQuickItem* parent) : QQuickItem(parent) {
    setFlag(ItemHasContents);
    connect(this, &HeatMap::coloursChanged, this, &QQuickItem::update);
}

void HeatMap::setHeat(PageHeat* heat) {
    if (heat == heat_) return;
    if (heat_) disconnect(heat_, nullptr, this, nullptr);
    heat_ = heat;
    if (heat_) connect(heat_, &PageHeat::changed, this, &HeatMap::measure);
    emit heatChanged();
    measure();
}

void HeatMap::measure() {
    const int pages = heat_ ? heat_->pages() : 0;
    cells_ = std::min(pages, std::max(1, static_cast<int>(height() / kLeastCell)));
    emit cellsChanged();  // also when only what they say is new
    update();
}

void HeatMap::geometryChange(const QRectF& now, const QRectF& before) {
    QQuickItem::geometryChange(now, before);
    if (now.size() != before.size()) measure();
}

qreal HeatMap::topOf(int cell) const {
    return cells_ == 0 ? 0 : std::min(height(), cells_ * kMostCell) * cell / cells_;
}

int HeatMap::cellAt(qreal y) const {
    const qreal all = topOf(cells_);
    return all <= 0 || y < 0 || y >= all ? -1 : std::min(cells_ - 1, static_cast<int>(y / all * cells_));
}

QString HeatMap::textOf(int cell) const {
    return cell < 0 || cell >= cells_ ? QString() : heat_->textOf(firstPage(cell), firstPage(cell + 1) - 1);
}

int HeatMap::pageOf(int cell) const {
    return cell < 0 || cell >= cells_ ? 0 : heat_->mostRead(firstPage(cell), firstPage(cell + 1) - 1);
}

int HeatMap::cellOf(int page) const {
    int cell = -1;
    for (int i = 0; i < cells_ && firstPage(i) <= page; ++i) cell = i;
    return cell;
}

QImage HeatMap::draw(int width, int height) const {
    QImage image(width, height, QImage::Format_ARGB32_Premultiplied);
    image.fill(Qt::transparent);
    if (cells_ == 0) return image;
    std::vector<double> shares(static_cast<std::size_t>(cells_));
    for (int i = 0; i < cells_; ++i)
        for (int page = firstPage(i); page < firstPage(i + 1); ++page)
            shares[static_cast<std::size_t>(i)] += heat_->share(page);
    const double most = std::max(1e-9, *std::ranges::max_element(shares));
    QPainter painter(&image);
    for (int i = 0; i < cells_; ++i) {
        const int top = i * height / cells_, bottom = (i + 1) * height / cells_;
        const int gap = bottom - top > 2 ? std::max(1, (bottom - top) / 12) : 0;
        const QRect cell(0, top, width, bottom - top - gap);
        auto kind = PageHeat::Page::NoText;  // the least of what is in it
        for (int page = firstPage(i); page < firstPage(i + 1); ++page) kind = std::min(kind, heat_->kind(page));
        if (kind == PageHeat::Page::Read) {
            // Its square root: most pages get little, and should be told apart.
            const double heat = std::sqrt(shares[static_cast<std::size_t>(i)] / most);
            QColor colour = cold_;
            colour.setRgbF(static_cast<float>(cold_.redF() + (hot_.redF() - cold_.redF()) * heat),
                           static_cast<float>(cold_.greenF() + (hot_.greenF() - cold_.greenF()) * heat),
                           static_cast<float>(cold_.blueF() + (hot_.blueF() - cold_.blueF()) * heat));
            painter.fillRect(cell, colour);
        } else if (kind == PageHeat::Page::Unread) {
            painter.fillRect(QRect(width / 2 - 1, cell.top(), 2, cell.height()), line_);
        } else {
            painter.setPen(line_);
            painter.drawRect(cell.adjusted(0, 0, -1, -1));
        }
    }
    return image;
}

QSGNode* HeatMap::updatePaintNode(QSGNode* old, UpdatePaintNodeData*) {
    auto* node = static_cast<QSGSimpleTextureNode*>(old);
    const double ratio = window()->effectiveDevicePixelRatio();
    const qreal all = topOf(cells_);
    const int columns = static_cast<int>(width() * ratio), lines = static_cast<int>(all * ratio);
    if (columns <= 0 || lines <= 0) {
        delete node;
        return nullptr;
    }
    if (!node) {
        node = new QSGSimpleTextureNode;
        node->setOwnsTexture(true);
        node->setFiltering(QSGTexture::Nearest);
    }
    node->setTexture(window()->createTextureFromImage(draw(columns, lines), QQuickWindow::TextureHasAlphaChannel));
    node->setRect(0, 0, width(), all);
    return node;
}

}  // namespace carrel::app
