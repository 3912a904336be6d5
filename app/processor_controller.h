#pragma once

#include "engine_port.h"

#include <QtQml/qqmlregistration.h>

namespace carrel::app {

/// Who computes: a GPU, or the processor and why it is that.
class ProcessorController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(QString name READ name NOTIFY changed)      // "NVIDIA …", "Processor"; empty: not known yet
    Q_PROPERTY(QString why READ why NOTIFY changed)        // why it is no GPU, a sentence; empty: nothing to say
    Q_PROPERTY(QString report READ report NOTIFY changed)  // of a GPU's check that failed, to pass on; else empty

  public:
    explicit ProcessorController(EnginePort& port, QObject* parent = nullptr) : QObject(parent), port_(port) {}

    QString name() const;
    QString gpu() const { return QString::fromStdString(processor_.gpu); }  // empty: none computes
    QString why() const { return QString::fromStdString(processor_.why); }
    QString report() const { return QString::fromStdString(processor_.report); }
    const Processor& processor() const { return processor_; }

    void refresh();

  signals:
    void changed();

  private:
    EnginePort& port_;
    Processor processor_;
};

}  // namespace carrel::app
