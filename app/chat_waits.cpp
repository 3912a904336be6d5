// What open turns wait for, by name.
#include "chat_controller.h"

#include <algorithm>

namespace carrel::app {

void ChatController::nameWaitsBy(std::function<QString(const QString&)> title, std::function<bool()> modelReady) {
    title_ = std::move(title);
    modelReady_ = std::move(modelReady);
}

Wait ChatController::waitOf(quint64 ticket, const Active& turn) const {
    Wait wait = turn.wait;
    const auto is = [&](Wait::Kind kind) {
        wait.kind = kind;
        return wait;
    };
    if (turn.stop.stop_requested()) return is(Wait::Stopping);
    if (!turn.asked) return is(modelReady_ && !modelReady_() ? Wait::Model : Wait::FirstPages);
    if (turn.row.state == TurnState::Opening) return is(Wait::Opening);
    if (turn.row.state == TurnState::ReadingQuestion) return is(Wait::Question);
    if (turn.row.state == TurnState::Answering) return is(Wait::Answering);
    const auto before = std::ranges::find_if(active_, [&](const auto& other) {
        return other.first != ticket && other.second.asked && other.second.row.state != TurnState::Queued;
    });
    if (before == active_.end()) return is(Wait::Pages);
    if (before->second.document == turn.document) return is(Wait::Together);
    wait.other = title_ ? title_(before->second.document) : QString();
    return is(Wait::OtherAnswer);
}

void ChatController::nameWaits() {
    const auto now = std::chrono::steady_clock::now();
    const std::string shown = current_.toStdString();
    for (auto& [ticket, turn] : active_) {
        if (turn.row.id == 0) continue;  // not asked for in earnest until its row is written
        Wait wait = waitOf(ticket, turn);
        if (wait.kind != turn.wait.kind || turn.waitsSince == decltype(turn.waitsSince){}) turn.waitsSince = now;
        turn.wait = std::move(wait);
        if (turn.row.chat != shown) continue;
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - turn.waitsSince).count();
        conversation_.setWait(turn.row.id, waitText(turn.wait, static_cast<int>(seconds)));
    }
}

}  // namespace carrel::app
