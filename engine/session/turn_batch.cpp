#include "session/turn_batch.h"

#include <algorithm>
#include <chrono>

#include "session/kv_plan.h"

namespace carrel {

TurnBatch::TurnBatch(const LoadedModel& model, Workspace& work, Reading& reading)
    : model_(model), work_(work), reading_(reading) {
    reading_.kv().resetCounters();
}

void TurnBatch::add(Member member) {
    assert(betweenPasses() && members_.size() < work_.rows());
    members_.push_back(std::move(member));
}

Status TurnBatch::step() {
    const auto start = std::chrono::steady_clock::now();
    if (!pass_) {
        for (Member& member : members_) {
            if (member.complete || member.turn->stage() == TurnStage::Answering) continue;
            const auto more = member.turn->step();
            return more ? Status{} : more.error();
        }
        if (auto begun = beginPass(); !begun) return begun;
        if (!pass_) return {};
    }
    const auto more = pass_->step();
    if (!more) return more.error();
    if (!*more)
        if (auto done = endPass(); !done) return done.error();
    decodeS_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return {};
}

Status TurnBatch::beginPass() {
    std::vector<PassInput> inputs;
    inPass_.clear();
    for (Member& member : members_) {
        if (member.complete) continue;
        const auto input = member.turn->next();
        if (!input) return input.error();
        member.complete = !*input;
        if (member.complete) continue;
        inputs.push_back(**input);
        inPass_.push_back(member.turn.get());
    }
    if (inputs.empty()) return {};
    const auto& policy = reading_.policy();
    pass_.emplace(model_.model(), model_.backend(), work_, std::move(inputs), true,
                  Reads{policy ? &*policy : nullptr, &stats_});
    pass_->reportMass([this](std::uint32_t layer, View<const float, 3> mass) {
        for (std::size_t i = 0; i < inPass_.size(); ++i) inPass_[i]->keepMass(layer, mass.rows(i, 1));
    });
    return {};
}

Status TurnBatch::endPass() {
    if (auto done = Turn::choose(*pass_, 0, inPass_); !done) return done;
    pass_.reset();
    for (Turn* const turn : inPass_) turn->accept();
    return {};
}

TierReport TurnBatch::report() const {
    return reading_.report(stats_, decodeS_);
}

}  // namespace carrel
