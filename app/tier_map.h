#pragma once

#include "tier_controller.h"

#include <QColor>
#include <QPointer>
#include <QQuickItem>

namespace carrel::app {

/// The rows of a TierController as a picture: one row per layer and KV head, the document from left to right, a colour
/// per tier, stronger where it was read lately. One texture: a rectangle per chunk would be tens of thousands.
class TierMap : public QQuickItem {
    Q_OBJECT
    QML_ELEMENT
    Q_PROPERTY(carrel::app::TierController* tiers MEMBER tiers_ WRITE setTiers NOTIFY tiersChanged)
    Q_PROPERTY(QColor device MEMBER device_ NOTIFY coloursChanged)
    Q_PROPERTY(QColor host MEMBER host_ NOTIFY coloursChanged)
    Q_PROPERTY(QColor disk MEMBER disk_ NOTIFY coloursChanged)
    Q_PROPERTY(QColor paper MEMBER paper_ NOTIFY coloursChanged)
    Q_PROPERTY(qreal room MEMBER room_ NOTIFY roomChanged)  // height to use; rows that do not fit make it higher
    Q_PROPERTY(int rows READ rows NOTIFY rowsChanged)
    Q_PROPERTY(int rowHeight READ rowHeight NOTIFY rowsChanged)

  public:
    explicit TierMap(QQuickItem* parent = nullptr);

    void setTiers(TierController* tiers);
    int rows() const { return rows_; }
    int rowHeight() const { return rowHeight_; }
    Q_INVOKABLE int rowAt(qreal y) const { return static_cast<int>(y / rowHeight_); }
    Q_INVOKABLE QString textAt(int row, qreal x) const;

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

    QPointer<TierController> tiers_;
    QColor device_, host_, disk_, paper_;
    qreal room_ = 0;
    int rows_ = 0, rowHeight_ = 1;
};

}  // namespace carrel::app
