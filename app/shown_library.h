#pragma once

#include "library_model.h"

#include <QSortFilterProxyModel>

namespace carrel::app {

/// The documents as the window lists them: those whose titles have every word that was typed, in the chosen order.
class ShownLibrary : public QSortFilterProxyModel {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("LibraryController owns it")
    Q_PROPERTY(QString words READ words WRITE setWords NOTIFY changed)
    Q_PROPERTY(Order order READ order WRITE setOrder NOTIFY changed)

  public:
    enum Order { LastUsed, Added, Title, Size };  // the newest, the newest, A to Z, the largest first
    Q_ENUM(Order)

    explicit ShownLibrary(LibraryModel& documents, QObject* parent = nullptr);

    QString words() const { return words_; }
    Order order() const { return order_; }
    void setWords(const QString& words);
    void setOrder(Order order);

  signals:
    void changed();

  protected:
    bool filterAcceptsRow(int row, const QModelIndex& parent) const override;
    bool lessThan(const QModelIndex& left, const QModelIndex& right) const override;

  private:
    LibraryModel& documents_;
    QString words_;
    Order order_ = LastUsed;
};

}  // namespace carrel::app
