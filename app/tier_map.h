#pragma once

#include "tier_controller.h"

#include <QColor>
#include <QPointer>
#include <QQuickItem>

namespace carrel::app {

/// A picture of TierController::rows(): one line per layer and KV head, tokens from left to right, the tier as colour.
/// What was read lately is brighter; what had to be brought from host or disk for it is in that one's colour at first.
/// Drawn as one texture: an item per cell would be tens of thousands.
class TierMap : public QQuickItem {
    Q_OBJECT
    QML_ELEMENT
    Q_PROPERTY(carrel::app::TierController* tiers MEMBER tiers_ WRITE setTiers NOTIFY tiersChanged)
    Q_PROPERTY(QColor device MEMBER device_ NOTIFY coloursChanged)
    Q_PROPERTY(QColor host MEMBER host_ NOTIFY coloursChanged)
    Q_PROPERTY(QColor disk MEMBER disk_ NOTIFY coloursChanged)
    Q_PROPERTY(QColor arrived MEMBER arrived_ NOTIFY coloursChanged)  // read from disk a moment ago
    Q_PROPERTY(QColor paper MEMBER paper_ NOTIFY coloursChanged)      // not read, or never asked for
    Q_PROPERTY(
        qreal room MEMBER room_ WRITE setRoom NOTIFY roomChanged)  // height to use; rows that do not fit make it higher
    Q_PROPERTY(int rows READ rows NOTIFY rowsChanged)
    Q_PROPERTY(int rowHeight READ rowHeight NOTIFY rowsChanged)

  public:
    explicit TierMap(QQuickItem* parent = nullptr);

    void setTiers(TierController* tiers);
    void setRoom(qreal room) {
        room_ = room;
        emit roomChanged();
    }
    int rows() const { return rows_; }
    int rowHeight() const { return rowHeight_; }
    Q_INVOKABLE int rowAt(qreal y) const { return static_cast<int>(y / rowHeight_); }
    Q_INVOKABLE int leafAt(qreal x) const;
    Q_INVOKABLE QRectF cellRect(int row, int leaf) const;  // of the cell that holds the leaf; empty where there is none
    Q_INVOKABLE QString textOf(int row, int leaf) const;
    /// The first leaf of the next cell to the right (step 1) or left (-1) that is told apart on screen.
    Q_INVOKABLE int next(int row, int leaf, int step) const;

    /// The picture at `columns` wide and `line` pixels a row.
    QImage draw(int columns, int line) const;

  signals:
    void tiersChanged();
    void coloursChanged();
    void roomChanged();
    void rowsChanged();

  protected:
    QSGNode* updatePaintNode(QSGNode* old, UpdatePaintNodeData* data) override;
    void geometryChange(const QRectF& now, const QRectF& before) override;

  private:
    void measure();
    double leafWidth() const;  // px

    QPointer<TierController> tiers_;
    QColor device_, host_, disk_, arrived_, paper_;
    qreal room_ = 0;
    int rows_ = 0, rowHeight_ = 1;
};

}  // namespace carrel::app
