#include "reading_controller.h"

#include "document_text.h"
#include "machine.h"
#include "words.h"

namespace carrel::app {

ReadingController::ReadingController(EnginePort& port, Passwords& passwords, Settings& settings, QObject* parent)
    : QObject(parent), port_(port), passwords_(passwords), settings_(settings) {
    connect(&port, &EnginePort::readingProgress, this, &ReadingController::progressed);
    connect(&port, &EnginePort::readingEnded, this, &ReadingController::ended);
}

const ReadingController::Entry& ReadingController::current() const {
    static const Entry none;
    const auto found = entries_.constFind(sha_);
    return found == entries_.cend() ? none : *found;
}

QString ReadingController::name(const Entry& e) const {
    const auto pages = [&e] {
        const ReadingProgress& p = e.progress;
        return p.pagesTotal > 0 ? QStringLiteral(" · ") + tr("%1 of %2 pages").arg(p.pagesDone).arg(p.pagesTotal)
                                : QString();
    };
    if (e.hidden) return tr("Text ready, not read");
    switch (e.state) {
        case None:
            return {};
        case Queued:
            if (isLookedUp(e)) return tr("Opening");
            return e.yielded ? tr("Paused: another document is read first") + pages() : tr("Queued to be read");
        case Reading:
            return (answering_ ? tr("Paused: a question goes first") : tr("Being read")) + pages();
        case Pausing:
            return tr("Pausing…");
        case Paused:
            return e.progress.tokensDone == 0 ? tr("Text ready, not read") : tr("Paused by you") + pages();
        case Ready:
        case Partly:
            return readyText(e.summary.coverage);
        case Failed:
            return (e.diskFull ? tr("Paused: no room on the disk") : tr("Reading stopped")) + pages();
    }
    return {};
}

QString ReadingController::text(const Entry& e) const {
    if (e.hidden) return tr("What was read is forgotten");
    switch (e.state) {
        case None:
            return {};
        case Queued:
            return isLookedUp(e) ? tr("Opening…") : tr("Waiting to be read");
        case Reading:
            if (answering_ && e.progress.pagesTotal > 0)
                return tr("Page %1 of %2 · a question goes first").arg(e.progress.pagesDone).arg(e.progress.pagesTotal);
            return progressText(e.progress);
        case Pausing:
            return tr("Pausing…");
        case Paused:
            if (e.progress.tokensDone == 0) return tr("Not read yet");
            if (e.progress.pagesTotal == 0) return tr("Paused");
            return tr("Paused after page %1 of %2").arg(e.progress.pagesDone).arg(e.progress.pagesTotal);
        case Ready:
            return e.summary.coverage.pagesTotal > 0 ? coverageText(e.summary.coverage, pagesWithoutText_)
                                                     : tr("Read in full");
        case Partly:
            return tr("Longer than this model can hold. %1").arg(coverageText(e.summary.coverage, pagesWithoutText_));
        case Failed:
            return e.problem.text;
    }
    return {};
}

double ReadingController::fraction(const Entry& e) const {
    if (e.hidden) return 0;
    if (e.state == Ready) return 1;
    if (e.progress.tokensTotal == 0) return 0;
    return static_cast<double>(e.progress.tokensDone) / static_cast<double>(e.progress.tokensTotal);
}

bool ReadingController::canAnswer(const QString& sha) const {
    const Entry e = entries_.value(sha);
    return hasModel_ && ((e.state != Queued && e.state != Reading && e.state != None) || e.progress.tokensDone > 0);
}

QString ReadingController::documentOf(quint64 ticket) const {
    for (auto it = entries_.cbegin(); it != entries_.cend(); ++it)
        if (it->ticket == ticket) return it.key();
    return {};
}

void ReadingController::set(const QString& sha, State state) {
    Entry& e = entries_[sha];
    e.state = state;
    const bool busy = state == Reading || state == Pausing || (state == Paused && e.progress.tokensDone > 0);
    emit documentChanged(sha, name(e), busy && !e.hidden ? fraction(e) : -1);
    if (sha == sha_) emit changed();
    if (canAnswer(sha)) emit answerable(sha);
}

void ReadingController::open(const QString& sha, std::vector<std::uint32_t> pagesWithoutText) {
    sha_ = sha;
    pagesWithoutText_ = std::move(pagesWithoutText);
    emit changed();
    if (sha.isEmpty()) return;
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
        if (it.key() == sha || it->ticket == 0 || it->hidden) continue;
        it->yielded = it->state != Pausing;
        it->stop.request_stop();
    }
    const Entry e = entries_.value(sha);
    const bool waits = e.state == Queued && e.ticket == 0;
    if (hasModel_ && !e.hidden && (e.state == None || e.state == Failed || waits)) lookUp(sha);
}

// What is on disk decides: a whole reading is ready at once, anything less goes on.
void ReadingController::lookUp(const QString& sha) {
    set(sha, Queued);
    port_.readingOf(sha.toStdString(), [this, sha](const Result<ReadingSummary>& found) {
        if (!hasModel_ || entries_.value(sha).state != Queued || entries_.value(sha).ticket != 0) return;
        Entry& e = entries_[sha];
        if (found) {
            const Coverage& c = found->coverage;
            e.summary = *found;
            e.progress = {c.tokensRead, c.tokensTotal, c.pagesRead, c.pagesTotal, 0, -1};
            if (c.whole() && c.tokensTotal > 0) return set(sha, Ready);
        }
        if (settings_.paused(sha)) {
            askForecast(sha);
            return set(sha, Paused);
        }
        start(sha);
    });
}

void ReadingController::start(const QString& sha) {
    Entry& e = entries_[sha];
    e.ticket = port_.nextTicket();
    e.stop = {};
    e.yielded = e.diskFull = false;
    set(sha, Queued);
    port_.read({e.ticket, sha.toStdString(), passwords_.of(sha.toStdString()), e.stop.get_token(), rememberedSpeed()});
}

void ReadingController::progressed(quint64 ticket, const ReadingProgress& progress) {
    const QString sha = documentOf(ticket);
    if (sha.isEmpty()) return;
    Entry& e = entries_[sha];
    e.progress = progress;
    if (e.forecastSeconds < 0) e.forecastSeconds = progress.etaSeconds;
    askForecast(sha);  // now, for what is open is not made into tokens again
    set(sha, e.state == Pausing ? Pausing : Reading);
}

void ReadingController::ended(quint64 ticket, const Result<ReadingSummary>& summary) {
    const QString sha = documentOf(ticket);
    if (sha.isEmpty()) return;
    Entry& e = entries_[sha];
    e.ticket = 0;
    rememberSpeed(e.progress.speed);
    if (e.hidden) {
        set(sha, Paused);
        return startNext();
    }
    if (summary) {
        const Coverage& c = summary->coverage;
        e.summary = *summary;
        e.progress = {c.tokensRead, c.tokensTotal, c.pagesRead, c.pagesTotal, 0, -1};
        set(sha, c.whole() ? Ready : Partly);
        if (sha == sha_) emit announced(tr("The document is read"));
        return startNext();
    }
    const Code code = summary.error().code;
    if (code == Code::Cancelled && e.yielded && sha == sha_) return lookUp(sha);  // wanted again before it had stopped
    if (code == Code::Cancelled) {
        set(sha, e.yielded ? Queued : Paused);
        return startNext();
    }
    e.diskFull = code == Code::DiskFull;
    e.problem = problemOf(summary.error(), Doing::Read, tr("this document"), [] {});  // useRemedy() reads on
    set(sha, Failed);
    if (code == Code::NeedsPassword || code == Code::WrongPassword)
        emit needsPassword(sha, code == Code::WrongPassword);
}

void ReadingController::startNext() {
    if (!hasModel_ || current().state == Queued) return;
    for (const Entry& e : std::as_const(entries_))
        if (e.ticket != 0) return;
    for (auto it = entries_.cbegin(); it != entries_.cend(); ++it)
        if (it->state == Queued && it->yielded) return start(it.key());
}

void ReadingController::modelAboutToChange() {
    hasModel_ = false;
    for (Entry& e : entries_) e.stop.request_stop();
}

void ReadingController::modelLoaded(const QString& fingerprint) {
    hasModel_ = true;
    fingerprint_ = fingerprint;
    nameSpeeds();
    const auto known = entries_.keys();
    entries_.clear();
    for (const QString& sha : known) emit documentChanged(sha, {}, -1);
    open(sha_, pagesWithoutText_);
}

void ReadingController::computesOn(const QString& gpu) {
    gpu_ = gpu;
    nameSpeeds();
}

void ReadingController::forget(const QString& sha) {
    if (entries_.contains(sha)) entries_[sha].stop.request_stop();
    entries_.remove(sha);
    if (sha == sha_) open({});
}

void ReadingController::stopAll() {
    for (Entry& e : entries_) e.stop.request_stop();
}

void ReadingController::pause() {
    if (!canPause()) return;
    settings_.setPaused(sha_, true);
    entries_[sha_].stop.request_stop();
    set(sha_, entries_[sha_].ticket == 0 ? Paused : Pausing);
}

void ReadingController::resume() {
    if (!canResume()) return;
    settings_.setPaused(sha_, false);
    if (current().hidden) {
        emit keepWanted(sha_);
        return;
    }
    if (hasModel_)
        start(sha_);
    else
        emit problem(tr("No model is loaded. Choose one first."));
}

void ReadingController::useRemedy() {
    if (state() != Failed) return;
    if (current().problem.remedy == Remedy::TryAgain)
        resume();
    else
        emit remedyWanted(current().problem);
}

// ---- forgetting, which can be undone for a while

void ReadingController::hide(const QString& sha) {
    Entry& e = entries_[sha];
    e.hidden = true;
    e.stop.request_stop();
    set(sha, e.ticket != 0 ? Pausing : Paused);
}

void ReadingController::keep(const QString& sha) {
    if (!entries_.value(sha).hidden) return;
    entries_[sha].hidden = false;
    if (hasModel_ && sha == sha_ && entries_[sha].ticket == 0) return lookUp(sha);
    entries_[sha].yielded = true;  // where it is still stopping it goes on as soon as it has
    set(sha, entries_[sha].ticket != 0 ? Pausing : None);
}

void ReadingController::gone(const QString& sha) {
    Entry& e = entries_[sha];
    e.hidden = false;
    e.progress = {};
    e.summary = {};
    settings_.setPaused(sha, true);  // not read again by itself
    set(sha, e.ticket != 0 ? Pausing : Paused);
}

void ReadingController::evicted(const QString& sha) {
    if (!entries_.contains(sha) || entries_[sha].ticket != 0) return;
    entries_[sha] = {};
    set(sha, None);  // opening it reads it again
}

void ReadingController::setAnswering(bool on) {
    answering_ = on;
    for (auto it = entries_.cbegin(); it != entries_.cend(); ++it)
        if (it->state == Reading) emit documentChanged(it.key(), name(*it), fraction(*it));
    emit changed();
}

}  // namespace carrel::app
