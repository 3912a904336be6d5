#pragma once

#include "engine_port.h"
#include "error_text.h"
#include "settings.h"

#include <QtQml/qqmlregistration.h>

namespace carrel::app {

/// What readings take of the disk, and how much they may.
class DiskController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(int quotaGb READ quotaGb WRITE setQuotaGb NOTIFY changed)  // 0: automatic
    Q_PROPERTY(QString text READ text NOTIFY changed)                     // "3.4 GB of 18.2 GB used; 91.0 GB are free"

  public:
    static constexpr int kMostGb = 100000;
    DiskController(EnginePort& port, Settings& settings, QObject* parent = nullptr);

    int quotaGb() const { return settings_.quotaGb(); }
    void setQuotaGb(int gigabytes);  // what is over it and was not used for a day is evicted at once
    QString text() const { return text_; }
    Q_INVOKABLE void refresh();

  signals:
    void changed();
    void problem(const carrel::app::Problem& problem);

  private:
    void show(const Result<DiskUse>& use);

    EnginePort& port_;
    Settings& settings_;
    QString text_;
};

}  // namespace carrel::app
