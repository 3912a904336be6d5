#pragma once

#include "engine_port.h"

#include <QtQml/qqmlregistration.h>
#include <QElapsedTimer>
#include <QTimer>
#include <QVariantList>

#include <array>
#include <deque>

namespace carrel::app {

/// Where the open document's KV is and what answering reads, as the engine counts it. Asks the engine four times a
/// second while somebody looks, never before the last reply is there.
class TierController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(bool watching READ watching WRITE setWatching NOTIFY watchingChanged)
    Q_PROPERTY(bool open READ isOpen NOTIFY changed)  // the engine has the document open
    /// {name, used, found, read, rate, stalls}, in words; device, host, disk.
    Q_PROPERTY(QVariantList tiers READ tiers NOTIFY changed)
    Q_PROPERTY(QString summary READ summary NOTIFY changed)  // what a word of the answer costs
    Q_PROPERTY(QString places READ places NOTIFY changed)    // how much of the document is where

  public:
    explicit TierController(EnginePort& port, QObject* parent = nullptr);

    bool watching() const { return watching_; }
    void setWatching(bool watching);
    void setDocument(const QString& sha);  // empty: none
    bool isOpen() const { return view_.has_value(); }
    QVariantList tiers() const;
    QString summary() const;
    QString places() const;
    const std::vector<ChunkRow>& rows() const;

    /// What is at `tokens` of a row, in words; empty where nothing is.
    QString at(int row, std::uint32_t token) const;
    std::uint32_t tokens() const { return tokens_; }  // where the rows end

  signals:
    void watchingChanged();
    void changed();

  private:
    struct Poll {
        double seconds = 0;
        std::array<std::uint64_t, 3> bytes{};  // read since the counters began, by tier
    };

    void poll();
    void arrived(const std::optional<TierView>& view);
    double rate(std::size_t tier) const;  // bytes/s over the last second; negative: not known yet

    EnginePort& port_;
    QTimer timer_;
    QElapsedTimer clock_;
    QString sha_;
    bool watching_ = false;
    quint64 asked_ = 0;  // the poll that is under way; 0: none
    quint64 polls_ = 0;
    std::optional<TierView> view_;
    std::optional<TierReport> answering_;  // the last one that counted steps
    std::deque<Poll> recent_;
    std::uint32_t tokens_ = 0;
};

}  // namespace carrel::app
