#pragma once

#include "page_heat.h"

#include <QColor>
#include <QPointer>
#include <QQuickItem>

namespace carrel::app {

/// A PageHeat as a strip from top to bottom: one cell per page, or per several where a cell would be too low. The more
/// attention, the stronger the colour; what was not read is a thin line, a page without text an empty frame. One
/// texture.
class HeatMap : public QQuickItem {
    Q_OBJECT
    QML_ELEMENT
    Q_PROPERTY(carrel::app::PageHeat* heat MEMBER heat_ WRITE setHeat NOTIFY heatChanged)
    Q_PROPERTY(QColor hot MEMBER hot_ NOTIFY coloursChanged)
    Q_PROPERTY(QColor cold MEMBER cold_ NOTIFY coloursChanged)  // read, and hardly looked at
    Q_PROPERTY(QColor line MEMBER line_ NOTIFY coloursChanged)  // of what was not read
    Q_PROPERTY(int cells READ cells NOTIFY cellsChanged)

  public:
    explicit HeatMap(QQuickItem* parent = nullptr);

    void setHeat(PageHeat* heat);
    int cells() const { return cells_; }
    Q_INVOKABLE int cellAt(qreal y) const;
    Q_INVOKABLE qreal topOf(int cell) const;
    Q_INVOKABLE QString textOf(int cell) const;
    Q_INVOKABLE int pageOf(int cell) const;  // the one that got most of the cell's attention, from 1; 0: no cell
    Q_INVOKABLE int cellOf(int page) const;

    QImage draw(int width, int height) const;  // pixels

  signals:
    void heatChanged();
    void coloursChanged();
    void cellsChanged();

  protected:
    QSGNode* updatePaintNode(QSGNode* old, UpdatePaintNodeData* data) override;
    void geometryChange(const QRectF& now, const QRectF& before) override;

  private:
    void measure();
    int firstPage(int cell) const { return static_cast<int>(qint64{cell} * heat_->pages() / cells_) + 1; }

    QPointer<PageHeat> heat_;
    QColor hot_, cold_, line_;
    int cells_ = 0;
};

}  // namespace carrel::app
