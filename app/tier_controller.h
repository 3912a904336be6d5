#pragma once

#include "engine_port.h"
#include "tier_heat.h"

#include <QtQml/qqmlregistration.h>
#include <QElapsedTimer>
#include <QTimer>
#include <QVariantList>

#include <array>
#include <deque>

namespace carrel::app {

/// Where the open document's KV is and what answering reads, as the engine counts it. Asks the engine while somebody
/// looks: 30 times a second while something moves, four times otherwise, never before the last reply is there.
class TierController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(bool watching READ watching WRITE setWatching NOTIFY watchingChanged)
    Q_PROPERTY(bool open READ isOpen NOTIFY wordsChanged)  // the engine has the document open
    /// {name, used, peak, usedShare, peakShare, found, read, rate, stalls}, in words; device, host, disk. Shares are of
    /// the budget; 0 where there is none.
    Q_PROPERTY(QVariantList tiers READ tiers NOTIFY wordsChanged)
    /// {name, device, host, disk, reads, fromHost, fromDisk}, in words: the map's rows, a layer's heads together.
    Q_PROPERTY(QVariantList layers READ layers NOTIFY wordsChanged)
    Q_PROPERTY(QString summary READ summary NOTIFY wordsChanged)  // what a word of the answer costs
    Q_PROPERTY(QString places READ places NOTIFY wordsChanged)    // how much of the document is where
    Q_PROPERTY(QString reads READ reads NOTIFY wordsChanged)      // how often, and where it was found

  public:
    explicit TierController(EnginePort& port, QObject* parent = nullptr);

    bool watching() const { return watching_; }
    void setWatching(bool watching);
    void setDocument(const QString& sha);  // empty: none
    bool isOpen() const { return view_.has_value(); }
    QVariantList tiers() const;
    QVariantList layers() const;
    QString summary() const;
    QString places() const;
    QString reads() const;

    const std::vector<LeafRow>& rows() const;
    const TierHeat& heat() const { return heat_; }
    std::uint32_t leaves() const;  // where rows end when all is read

    /// A cell: what moves between tiers as one. [first, first + count) leaves of a row; count 0 where nothing is.
    struct Cell {
        int first = 0, count = 0;
    };
    Cell cellAt(int row, int leaf) const;
    QString textOf(int row, int leaf) const;       // of the cell there; empty where nothing is
    Q_INVOKABLE void showPage(int row, int leaf);  // of the cell there

  signals:
    void watchingChanged();
    void changed();       // a look
    void wordsChanged();  // a few times a second: as fast as can be read
    void pageFound(const carrel::Source& source);

  private:
    struct Poll {
        double seconds = 0;
        std::array<std::uint64_t, 3> bytes{};  // read since the counters began, by tier
        std::uint64_t steps = 0;
    };

    void poll();
    void arrived(std::optional<TierView> view);
    void remember(double now);
    double perSecond(std::uint64_t before, std::uint64_t after) const;  // over the last second; negative: not known yet
    QString pageOf(std::uint32_t token) const;

    EnginePort& port_;
    QTimer timer_;
    QElapsedTimer clock_;
    QString sha_;
    bool watching_ = false;
    quint64 asked_ = 0;  // the poll that is under way; 0: none
    quint64 polls_ = 0;
    std::optional<TierView> view_;
    std::optional<TierReport> answering_;  // the last one that counted steps
    TierHeat heat_;
    std::deque<Poll> recent_;
    double moved_ = -1e9, worded_ = -1e9;  // s: when the engine last read something; when words were last renewed
};

}  // namespace carrel::app
