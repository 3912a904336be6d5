#pragma once

#include "engine_port.h"
#include "settings.h"

#include <QtQml/qqmlregistration.h>
#include <QVariantList>

#include <array>

namespace carrel::app {

/// How much memory an open document may use: three choices, computed from this machine's memory. What each comes to is
/// never guessed: the open document is asked one question under each, when the person wants to know, and the engine's
/// figures are kept for this machine, this model and these budgets.
class MemoryController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(QVariantList choices READ choices NOTIFY changed)  // {name, budget, measured, chosen}, in words
    Q_PROPERTY(bool measuring READ measuring NOTIFY changed)
    Q_PROPERTY(QString note READ note NOTIFY changed)  // what measuring comes to; empty: nothing to say

  public:
    /// What can be measured with; document empty: nothing at the moment.
    struct Subject {
        std::string document, password;
        QString model;  // its file
        QString gpu;    // that computes; empty: the processor does
    };
    struct Budgets {
        std::uint64_t deviceBytes = 0, hostBytes = 0;
    };

    MemoryController(EnginePort& port, Settings& settings, std::uint64_t memoryBytes, std::function<Subject()> subject,
                     QObject* parent = nullptr);

    static std::uint64_t installedMemory();  // bytes
    QVariantList choices() const;
    bool measuring() const { return ticket_ != 0; }
    QString note() const { return note_; }
    const std::array<Budgets, 3>& budgets() const { return budgets_; }

    void start();  // the engine is told what was chosen
    Q_INVOKABLE void choose(int choice);
    Q_INVOKABLE void measure();
    Q_INVOKABLE void stop();  // a measurement that is under way

  signals:
    void changed();

  private:
    int chosen() const;
    QString key(std::size_t choice) const;  // of what was measured, in the settings
    void next();
    void ended(quint64 ticket, const Result<Answer>& answer);
    void finish(const QString& note);

    EnginePort& port_;
    Settings& settings_;
    std::function<Subject()> subject_;
    std::array<Budgets, 3> budgets_;
    QString machine_, note_;
    Subject with_;
    std::size_t at_ = 0;  // the choice that is measured
    quint64 ticket_ = 0;  // 0: nothing is measured
    std::stop_source stop_;
};

}  // namespace carrel::app
