#include "compute_loop.h"

#include "engine_thread.h"

namespace carrel::app {

constexpr auto kProgressInterval = std::chrono::milliseconds(100);  // a person cannot read faster
constexpr auto kQuestionInterval = std::chrono::milliseconds(33);

void ComputeLoop::start(Lane<Compute>& lane) {
    if (running_) return;
    running_ = true;
    lane.post([this, &lane] { pump(lane); });
}

void ComputeLoop::pump(Lane<Compute>& lane) {
    running_ = lane.door() && lane.door()->step();
    if (running_) lane.post([this, &lane] { pump(lane); });
}

void ComputeLoop::finish(Lane<Compute>& lane, std::chrono::milliseconds most) {
    const auto until = std::chrono::steady_clock::now() + most;
    while (lane.door() && lane.door()->step() && std::chrono::steady_clock::now() < until) {
    }
}

void ComputeLoop::fail(std::uint64_t ticket, bool isTurn, const Error& error) {
    if (isTurn)
        turnFailed(ticket, error);
    else
        readingEnded(ticket, error);
}

void ComputeLoop::readingProgress(std::uint64_t ticket, const ReadingProgress& progress) {
    const auto now = std::chrono::steady_clock::now();
    if (now - lastProgress_ < kProgressInterval) return;
    lastProgress_ = now;
    QMetaObject::invokeMethod(
        &port_, [this, ticket, progress] { emit port_.readingProgress(ticket, progress); }, Qt::QueuedConnection);
}

void ComputeLoop::readingEnded(std::uint64_t ticket, const Result<ReadingSummary>& summary) {
    QMetaObject::invokeMethod(
        &port_, [this, ticket, summary] { emit port_.readingEnded(ticket, summary); }, Qt::QueuedConnection);
}

void ComputeLoop::readingEvicted(const std::string& document, std::uint64_t bytes) {
    QMetaObject::invokeMethod(
        &port_, [this, sha = QString::fromStdString(document), bytes] { emit port_.readingEvicted(sha, bytes); },
        Qt::QueuedConnection);
}

void ComputeLoop::turnStage(std::uint64_t ticket, TurnStage stage) {
    QMetaObject::invokeMethod(
        &port_, [this, ticket, stage] { emit port_.turnStage(ticket, stage); }, Qt::QueuedConnection);
}

void ComputeLoop::questionProgress(std::uint64_t ticket, std::uint32_t done, std::uint32_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (now - lastQuestion_ < kQuestionInterval) return;
    lastQuestion_ = now;
    QMetaObject::invokeMethod(
        &port_, [this, ticket, done, total] { emit port_.questionProgress(ticket, done, total); },
        Qt::QueuedConnection);
}

void ComputeLoop::turnText(std::uint64_t ticket, const std::string& text) {
    mailbox_.post(ticket, QString::fromStdString(text));
}

void ComputeLoop::answered(std::uint64_t ticket, const Answer& answer) {
    QMetaObject::invokeMethod(
        &port_,
        [this, ticket, answer] {
            mailbox_.drain();
            emit port_.answered(ticket, answer);
        },
        Qt::QueuedConnection);
}

void ComputeLoop::turnFailed(std::uint64_t ticket, const Error& error) {
    QMetaObject::invokeMethod(
        &port_,
        [this, ticket, error] {
            mailbox_.drain();
            emit port_.turnFailed(ticket, error);
        },
        Qt::QueuedConnection);
}

}  // namespace carrel::app
