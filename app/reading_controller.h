#pragma once

#include "engine_port.h"
#include "error_text.h"
#include "forecast_text.h"
#include "passwords.h"
#include "settings.h"

#include <QtQml/qqmlregistration.h>
#include <QHash>

namespace carrel::app {

/// The readings of documents under the loaded model, one at a time shown: how far, how fast, pause, resume, cancel.
///
///   None -> Queued -> Reading -> Ready | Partly (did not fit) | Failed
///                       ^   v
///              Paused <- Pausing          what was read is forgotten: Paused, and nothing is read
/// Opening a document puts its reading first; the one it interrupts is Queued again.
class ReadingController : public QObject {
    Q_OBJECT
    QML_ELEMENT
    QML_UNCREATABLE("AppController owns it")
    Q_PROPERTY(State state READ state NOTIFY changed)
    Q_PROPERTY(QString text READ text NOTIFY changed)         // state and progress in words
    Q_PROPERTY(double fraction READ fraction NOTIFY changed)  // read, 0..1
    Q_PROPERTY(bool canPause READ canPause NOTIFY changed)
    Q_PROPERTY(bool canResume READ canResume NOTIFY changed)
    Q_PROPERTY(bool canCancel READ canCancel NOTIFY changed)
    // What reading it comes to, where that is long; empty where it is not, or not known.
    Q_PROPERTY(
        QString remedy READ remedy NOTIFY changed)  // where it failed: the button beside its sentence; else empty
    Q_PROPERTY(QString forecast READ forecast NOTIFY changed)
    Q_PROPERTY(QStringList forecastDetails READ forecastDetails NOTIFY changed)
    Q_PROPERTY(bool hardlyBegun READ hardlyBegun NOTIFY changed)  // a long reading that may be put off

  public:
    enum State { None, Queued, Reading, Pausing, Paused, Ready, Partly, Failed };
    Q_ENUM(State)

    ReadingController(EnginePort& port, Passwords& passwords, Settings& settings, QObject* parent = nullptr);

    State state() const { return current().state; }
    QString text() const { return text(current()); }
    double fraction() const { return fraction(current()); }
    bool canPause() const { return state() == Queued || state() == Reading; }
    bool canResume() const { return state() == Paused || state() == Failed; }
    bool canCancel() const { return canPause() || canResume(); }
    QString remedy() const { return state() == Failed ? remedyText(current().problem.remedy) : QString(); }
    QString forecast() const;
    QStringList forecastDetails() const;
    bool hardlyBegun() const { return canPause() && isLong(current()) && fraction() < 0.1; }
    void nameDocumentsBy(TitleOf titleOf) { titleOf_ = std::move(titleOf); }
    /// Something is read, or no reading is on its way: a question need not wait.
    bool canAnswer(const QString& sha) const;

    /// The document shown; goes on reading it unless the person had paused it.
    void open(const QString& sha, std::vector<std::uint32_t> pagesWithoutText = {});
    /// Readings belong to a model: start over with what is on disk for this one. fingerprint: names it where speeds are
    /// remembered.
    void modelLoaded(const QString& fingerprint = {});
    void computesOn(const QString& gpu);  // empty: the processor; speeds are kept apart
    void modelAboutToChange();
    void forget(const QString& sha);   // the document is out of sight
    void hide(const QString& sha);     // what was read is as if it were not there
    void keep(const QString& sha);     // it is, after all
    void gone(const QString& sha);     // it was deleted
    void evicted(const QString& sha);  // it was deleted to make room
    void setAnswering(bool on);        // readings wait meanwhile
    void stopAll();                    // the window closes: all go on at the next start

    Q_INVOKABLE void pause();
    Q_INVOKABLE void resume();
    Q_INVOKABLE void useRemedy();

  signals:
    void changed();
    void documentChanged(const QString& sha, const QString& text, double fraction);  // any document
    void answerable(const QString& sha);
    void announced(const QString& sentence);                 // to those who do not see it
    void remedyWanted(const carrel::app::Problem& problem);  // anything but reading on
    void problem(const carrel::app::Problem& problem);
    void needsPassword(const QString& sha, bool wrong);
    void keepWanted(const QString& sha);  // what was forgotten a moment ago is to be read on

  private:
    struct Entry {
        State state = None;
        quint64 ticket = 0;
        std::stop_source stop;
        ReadingProgress progress;
        ReadingSummary summary;
        bool hidden = false;    // what was read is forgotten, though not deleted yet
        bool diskFull = false;  // which is why it failed
        bool yielded = false;   // stopped for the document that was opened; goes on when that one is done
        Problem problem;        // Failed: why
        std::optional<ReadingForecast> forecast;
        double forecastSeconds = -1;  // from what is remembered, else the first that is told; negative: neither yet
        bool forecastAsked = false;
        bool foreseenLong = false;  // so that a person would rather have known before
    };
    const Entry& current() const;
    static bool isLookedUp(const Entry& entry) { return entry.state == Queued && entry.ticket == 0 && !entry.yielded; }
    QString text(const Entry& entry) const;
    QString name(const Entry& entry) const;  // of its state, as the library lists it
    double fraction(const Entry& entry) const;
    void start(const QString& sha);
    void set(const QString& sha, State state);
    void progressed(quint64 ticket, const ReadingProgress& progress);
    void ended(quint64 ticket, const Result<ReadingSummary>& summary);
    QString documentOf(quint64 ticket) const;
    void lookUp(const QString& sha);
    void startNext();
    void askForecast(const QString& sha);
    bool isLong(const Entry& entry) const;
    ReadingSpeed rememberedSpeed() const;
    void nameSpeeds();
    void rememberSpeed(const ReadingSpeed& speed);

    EnginePort& port_;
    Passwords& passwords_;
    Settings& settings_;
    QHash<QString, Entry> entries_;
    QString sha_, fingerprint_, gpu_, speedKey_;
    std::vector<std::uint32_t> pagesWithoutText_;  // of sha_
    bool hasModel_ = false, answering_ = false;
    TitleOf titleOf_ = [](const QString& document) { return document; };
};

}  // namespace carrel::app
