#include "session/turn.h"

#include <algorithm>

#include "session/provenance.h"
#include "session/sources.h"

namespace carrel {

namespace {

using Clock = std::chrono::steady_clock;
double secondsSince(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr std::size_t kPassTokens =
    64;  // of a question at a time: a stop is heard between passes' steps, and mass takes memory

void append(std::vector<std::int32_t>& to, const std::vector<std::int32_t>& more) {
    to.insert(to.end(), more.begin(), more.end());
}

/// Separator, history from `dropped` on, and the question. answers: which of the ids are an earlier answer's.
std::vector<std::int32_t> tailIds(const LoadedModel& model, const TurnRequest& request, std::size_t dropped,
                                  std::vector<bool>& answers) {
    const Prompt& prompt = model.prompt();
    std::vector<std::int32_t> ids = prompt.separator();
    answers.clear();
    for (std::size_t i = dropped; i < request.history.size(); ++i) {
        append(ids, prompt.question(request.history[i].question));
        answers.resize(ids.size(), false);
        append(ids, prompt.answer(request.history[i].answer));
        answers.resize(ids.size(), true);
        append(ids, prompt.next());
    }
    append(ids, prompt.question(request.question));
    answers.resize(ids.size(), false);
    return ids;
}

}  // namespace

Status Turn::prepare(ReadingStore& store, std::unique_ptr<Tail> open) {
    started_ = Clock::now();
    const ModelConfig& config = model_.model().config;
    const std::uint32_t read = reading_.tokens(), first = reading_.kv().tokens();

    // Older turns go where they no longer fit; an answer that has no room at all is refused.
    const std::size_t room = config.window - std::min(config.window, read);
    std::vector<std::int32_t> wanted = tailIds(model_, request_, 0, answers_);
    while (wanted.size() + request_.maxTokens > room && answer_.droppedTurns < request_.history.size())
        wanted = tailIds(model_, request_, ++answer_.droppedTurns, answers_);
    if (wanted.size() + 16 > room)
        return Error{Code::InvalidArgument, "",
                     "the question has " + std::to_string(wanted.size()) + " tokens, " + std::to_string(room) +
                         " are left behind the document"};
    request_.maxTokens = std::min<std::uint32_t>(request_.maxTokens, static_cast<std::uint32_t>(room - wanted.size()));
    wanted.insert(wanted.begin(), reading_.ids().begin() + first, reading_.ids().end());

    if (!open || open->document != request_.document || open->chat != request_.chat || open->first != first) {
        open.reset();  // its lock goes before another is asked for
        auto stream = store.openTail(reading_.stream(), request_.chat, first);
        if (!stream) return stream.error();
        open = std::make_unique<Tail>(Tail{
            request_.document, request_.chat, first, KvSequence(config.kvShape(), first), {}, {}, std::move(*stream)});
        std::vector<std::shared_ptr<KvBlock>> blocks;
        const auto good = open->stream->load([&](std::uint32_t at, std::uint32_t tokens) -> std::optional<KvMemory> {
            auto block = KvBlock::make(model_.backend(), config.kvShape(), at, tokens, MemoryKind::Host);
            if (!block) return std::nullopt;
            blocks.push_back(std::move(*block));
            return KvMemory{blocks.back()->payload(), {}, {}};
        });
        if (good && *good == open->stream->tokens()) {  // a damaged tail is short: it is made again as a whole
            for (const auto& block : blocks) {
                auto made = block->onDevice(model_.backend());
                if (!made) return made.error();
                open->sequence.push(std::move(*made));
            }
            open->ids = open->stream->ids();
        }
    }
    tail_ = std::move(open);
    const auto same = static_cast<std::size_t>(
        std::mismatch(tail_->ids.begin(), tail_->ids.end(), wanted.begin(), wanted.end() - 1).first -
        tail_->ids.begin());
    if (first + same >= read) {
        tail_->sequence.truncate(first + static_cast<std::uint32_t>(same));
        tail_->ids.resize(same);
    } else {  // the reading itself is further than the tail
        tail_->sequence = reading_.rest();
        tail_->baseline.clear();
        tail_->ids.assign(wanted.begin(), wanted.begin() + (read - first));
    }
    firstNew_ = first + static_cast<std::uint32_t>(tail_->ids.size());
    pending_.assign(wanted.begin() + static_cast<std::ptrdiff_t>(tail_->ids.size()), wanted.end());
    questionTokens_ = pending_.size();
    questionFirst_ = first + wanted.size() - model_.prompt().question(request_.question).size();
    answer_.coverage = reading_.coverage();
    return {};
}

Status Turn::beginPass() {
    // Where the separator's tokens look is where attention goes when nothing is asked: run once beside the chat, and
    // not kept.
    if (tail_->baseline.empty()) bare_.emplace(reading_.rest());
    const KvSequence& sequence = bare_ ? *bare_ : tail_->sequence;
    if (bare_) separator_ = model_.prompt().separator();
    passTokens_ = bare_ ? separator_.size() : std::min({pending_.size(), kPassTokens, work_.rows()});
    // A tail that is made anew is what it was: questions read everything, answers by the policy.
    const auto& policy = reading_.policy();
    bool choosing = false;
    if (policy && !bare_) {
        const auto from = answers_.end() - static_cast<std::ptrdiff_t>(pending_.size());
        choosing = *from;
        const auto same = static_cast<std::size_t>(std::find(from, answers_.end(), !choosing) - from);
        passTokens_ = std::min(passTokens_, same);
        if (choosing && !reading_.kv().resident()) passTokens_ = 1;  // what several choose together may not fit
    }
    if (!choosing) history_.clear();  // each answer begins its own
    auto open = sequence.extend(model_.backend(), static_cast<std::uint32_t>(passTokens_));
    if (!open) return open.error();
    open_ = std::move(*open);
    const bool last = !bare_ && passTokens_ == pending_.size();
    const auto ids = std::span<const std::int32_t>(bare_ ? separator_ : pending_).first(passTokens_);
    pass_.emplace(model_.model(), model_.backend(), work_,
                  std::vector<PassInput>{{&sequence, open_.get(), ids, &reading_.kv(), nullptr, &history_}},
                  last || bare_, Reads{choosing ? &*policy : nullptr, nullptr});
    pass_->reportMass([this](std::uint32_t layer, View<const float, 3> mass) { keepMass(layer, mass); });
    return {};
}

void Turn::keepMass(std::uint32_t layer, View<const float, 3> mass) {
    if (layer < model_.model().config.layers / 3) return;  // they look at neighbours
    if (words_.thinking()) return;                         // where a thought looks is no source of the answer
    auto& sums = bare_ ? tail_->baseline : mass_;
    const std::size_t heads = mass.size(1), leaves = mass.size(2);
    sums.resize(std::max(sums.size(), leaves));
    for (std::size_t token = 0; token < mass.size(0); ++token) {
        if (!bare_ && tail_->sequence.tokens() + token < questionFirst_) continue;  // separator and history
        for (std::size_t row = token * heads; row < (token + 1) * heads; ++row)
            for (std::size_t leaf = 0; leaf < leaves; ++leaf) sums[leaf] += mass.data()[row * leaves + leaf];
    }
}

Status Turn::choose(Pass& pass, std::size_t firstRow, std::span<Turn* const> turns) {
    if (std::ranges::all_of(turns, [](const Turn* turn) { return turn->sampler_.greedy(); })) {
        std::vector<std::int32_t> likeliest(turns.size());
        if (auto done = pass.likeliest(firstRow, likeliest); !done) return done;
        for (std::size_t i = 0; i < turns.size(); ++i) turns[i]->next_ = likeliest[i];
        return {};
    }
    const std::size_t vocabulary = turns.front()->model_.model().config.vocabulary;
    std::vector<float> logits(turns.size() * vocabulary);
    pass.logits(firstRow, turns.size(), {logits.data(), {turns.size(), vocabulary}});
    for (std::size_t i = 0; i < turns.size(); ++i)
        turns[i]->next_ = turns[i]->sampler_.next(std::span<const float>(logits).subspan(i * vocabulary, vocabulary));
    return {};
}

Status Turn::endPass() {
    const bool last = !bare_ && passTokens_ == pending_.size();
    if (Turn* const self[] = {this}; last)
        if (auto done = choose(*pass_, passTokens_ - 1, self); !done) return done;
    pass_.reset();
    if (bare_) {
        open_.reset();
        bare_.reset();
        return {};
    }
    accept();
    if (!last) return {};
    decoding_ = true;
    answer_.timings.questionPrefillS = secondsSince(started_);
    answering_ = Clock::now();
    return {};
}

void Turn::accept() {
    tail_->sequence.push(std::move(open_));
    tail_->ids.insert(tail_->ids.end(), pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(passTokens_));
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(passTokens_));
}

Turn::QuestionTokens Turn::questionTokens() const {
    const auto total = static_cast<std::uint32_t>(questionTokens_);
    if (decoding_) return {total, total};
    const double atHand = pass_ && !bare_ ? pass_->fraction() * static_cast<double>(passTokens_) : 0;
    return {total - static_cast<std::uint32_t>(pending_.size()) + static_cast<std::uint32_t>(atHand), total};
}

Result<bool> Turn::step() {
    if (decoding_) return false;
    if (!pass_)
        if (auto begun = beginPass(); !begun) return begun.error();
    const auto more = pass_->step();
    if (!more) return more.error();
    if (!*more)
        if (auto done = endPass(); !done) return done.error();
    return !decoding_;
}

Result<std::optional<PassInput>> Turn::next() {
    const std::int32_t id = next_;
    if (answer_.tokens == 0) answer_.timings.firstTokenS = secondsSince(started_);
    if (model_.tokenizer().endsTurn(id) || answer_.tokens >= request_.maxTokens) return std::optional<PassInput>();
    ++answer_.tokens;
    const std::string more = words_.add(model_.tokenizer().bytes(id));
    fresh_ += more;
    answer_.text += more;
    pending_.assign(1, id);
    passTokens_ = 1;
    auto open = tail_->sequence.extend(model_.backend(), 1);
    if (!open) return open.error();
    open_ = std::move(*open);
    return std::optional<PassInput>(
        PassInput{&tail_->sequence, open_.get(), pending_, &reading_.kv(), nullptr, &history_});
}

std::vector<Source> Turn::findSources() {
    const auto tokens = reading_.readTokens();
    const ReadTokens read{tokens, reading_.openingTokens()};
    SourceEvidence evidence;
    std::vector<RankedWindow> question, answered;
    if (auto ranked = reading_.words().rank(request_.question, 50)) question = std::move(*ranked);
    if (auto ranked = reading_.words().rank(answer_.text, 50)) answered = std::move(*ranked);
    const auto leaves = attentionEvidence(mass_, tail_->baseline, read);
    evidence.question = question;
    evidence.answer = answered;
    evidence.leaves = leaves;
    answer_.pageShares = pageShares(reading_.document(), read, leaves);
    return chooseSources(reading_.document(), reading_.words().windows(), read, evidence);
}

Answer Turn::finish(bool stopped) {
    pass_.reset();
    open_.reset();
    answer_.text += words_.finish();
    answer_.stopped = stopped;
    answer_.timings.decodeTokensPerS = answer_.tokens > 0 && decoding_ ? answer_.tokens / secondsSince(answering_) : 0;
    if (!answer_.text.empty()) {
        answer_.sources = findSources();
        answer_.provenance = provenanceOf(reading_.words(), answer_.text, answer_.sources);
        if (answer_.provenance != Provenance::Shown) answer_.sources.clear();
    }
    // A tail that cannot be written costs the next start a question's prefill; the answer itself is not lost.
    const std::uint32_t from = std::min(firstNew_, tail_->stream->tokens()) / kGroupTokens * kGroupTokens;
    if (tail_->sequence.tokens() == from) return answer_;  // stopped before anything new was run
    if (auto block = tail_->sequence.gather(model_.backend(), from, MemoryKind::Host))
        static_cast<void>(static_cast<bool>(
            tail_->stream->commit({from,
                                   std::span<const std::int32_t>(tail_->ids).subspan(from - tail_->first),
                                   (*block)->payload(),
                                   {},
                                   {}})));
    return answer_;
}

}  // namespace carrel
