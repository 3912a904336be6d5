#pragma once

#include "lane.h"

#include <carrel/compute.h>

#include <QMetaType>

#include <chrono>
#include <functional>

namespace carrel::app {

class EngineThread;
class TextMailbox;

/// Calls Compute::step() while there is work, one quantum per turn of the lane's event loop, so that a request never
/// waits for more than a quantum. Hears the engine's events on the lane's thread and hands them to the GUI thread as
/// values.
class ComputeLoop final : public EventSink {
  public:
    ComputeLoop(EngineThread& port, TextMailbox& mailbox) : port_(port), mailbox_(mailbox) {}

    // On the compute lane.
    void start(Lane<Compute>& lane);  // something was queued
    /// Steps until all has ended, or for `most`; tokens were asked to stop before.
    void finish(Lane<Compute>& lane, std::chrono::milliseconds most);
    void fail(std::uint64_t ticket, bool isTurn, const Error& error);

    void readingProgress(std::uint64_t ticket, const ReadingProgress& progress) override;
    void readingEnded(std::uint64_t ticket, const Result<ReadingSummary>& summary) override;
    void readingEvicted(const std::string& document, std::uint64_t bytes) override;
    void turnStage(std::uint64_t ticket, TurnStage stage) override;
    void questionProgress(std::uint64_t ticket, std::uint32_t done, std::uint32_t total) override;
    void turnText(std::uint64_t ticket, const std::string& text) override;
    void answered(std::uint64_t ticket, const Answer& answer) override;
    void turnFailed(std::uint64_t ticket, const Error& error) override;

  private:
    void pump(Lane<Compute>& lane);

    EngineThread& port_;
    TextMailbox& mailbox_;
    bool running_ = false;
    std::chrono::steady_clock::time_point lastProgress_{}, lastQuestion_{};
};

}  // namespace carrel::app
