#include "session/reading.h"

#include <algorithm>
#include <chrono>

namespace carrel {

namespace {

constexpr std::uint32_t kReserve = 2048;  // of the window, for tail and answer
constexpr double kBatchSeconds = 1.5;     // a crash loses one batch at most

/// What a pair of tokens costs of what a token costs, roughly: attention's multiplications, each taking 1.75 times as
/// long, beside the weights', and per layer what else a token needs (norms, codec), as long as 3 million of those.
/// Fitted to three models on one machine (tests/bench/RESULTS.md). A local layer's pairs end with its window.
double pairCost(const ModelConfig& c) {
    constexpr double kSlower = 1.75, kElse = 3e6;
    const double width = static_cast<double>(c.heads) * c.headDim, kvWidth = static_cast<double>(c.kvHeads) * c.headDim;
    const double weights = 2.0 * c.hidden * (width + kvWidth) + 3.0 * c.hidden * c.ffn + kElse;
    const double local = static_cast<double>(std::ranges::count(c.local.which, true)) / c.layers;
    return kSlower * width * (1 - local) / (weights + kSlower * 2 * width * c.local.window * local);
}

}  // namespace

Result<std::unique_ptr<Reading>> Reading::open(const LoadedModel& model, ReadingStore& store, Document document,
                                               const KvSettings& settings, bool suspect) {
    std::unique_ptr<Reading> reading(new Reading(std::move(document)));
    auto tokens = model.tokenizer().encode(reading->document_.text, TextStart::AfterText);
    if (!tokens) return tokens.error();
    reading->tokens_ = std::move(*tokens);
    auto ids = model.prompt().opening();
    reading->opening_ = static_cast<std::uint32_t>(ids.size());
    reading->findPages();

    const ModelConfig& config = model.model().config;
    for (std::size_t i = 0; i < std::min(room(model), reading->tokens_.size()); ++i)
        ids.push_back(reading->tokens_[i].id);

    const std::string mode = "rope=" + config.ropeText + ";window;dense;prompt=" + std::to_string(kPromptVersion);
    auto read = TokenReading::open(model, store, {reading->document_.sha256, model.model().fingerprint, mode, {}},
                                   std::move(ids), settings, suspect);
    if (!read) return read.error();
    reading->read_.emplace(std::move(*read));
    reading->progress_ = ProgressFit(pairCost(config));
    auto words = WordIndex::build(reading->document_);
    if (!words) return words.error();
    reading->words_ = std::move(*words);
    return reading;
}

std::size_t Reading::room(const LoadedModel& model) {
    const std::uint32_t window = model.model().config.window;
    const std::size_t kept = std::min(kReserve, window / 4) + model.prompt().opening().size();
    return window - std::min<std::size_t>(window, kept);
}

std::span<const TextToken> Reading::readTokens() const {
    return std::span(tokens_).first(std::max<std::size_t>(tokens(), opening_) - opening_);
}

void Reading::findPages() {
    if (!document_.hasPages()) return;
    std::uint32_t at = 0;
    for (const Place& page : document_.places) {
        while (at < tokens_.size() && tokens_[at].first < page.text.first) ++at;
        pageStarts_.push_back(opening_ + at);
    }
}

Result<Source> Reading::placeOf(std::uint32_t token, std::uint32_t count) const {
    const std::uint64_t first = std::max(token, opening_) - opening_;
    const std::uint64_t end = std::max<std::uint64_t>(std::uint64_t{token} + count, opening_) - opening_;
    const auto words = std::span(tokens_).subspan(std::min<std::size_t>(first, tokens_.size()));
    const auto these = words.first(std::min<std::size_t>(std::max(end, first) - first, words.size()));
    if (these.empty()) return Error{Code::NotFound, document_.sha256, "no word of the document stands there"};
    const auto inside = [&](std::uint64_t byte) {  // a token may begin or end inside a character
        return byte < document_.text.size() && (static_cast<unsigned char>(document_.text[byte]) & 0xc0) == 0x80;
    };
    std::uint64_t from = these.front().first, to = std::uint64_t{these.back().first} + these.back().count;
    while (from > 0 && inside(from)) --from;
    while (inside(to)) ++to;
    Source out;
    out.span = {from, to - from};
    const std::size_t place = document_.placeOf(out.span.first);
    out.place = placeName(document_, place);
    out.page = document_.hasPages() ? static_cast<std::uint32_t>(place + 1) : 0;
    out.quote = document_.text.substr(out.span.first, out.span.count);
    out.boxes = document_.boxesOf(out.span);
    return out;
}

Coverage Reading::coverage() const {
    const auto read = readTokens();
    Coverage out{0, 0, read.size(), tokens_.size(), !complete()};
    if (!document_.hasPages()) return out;
    out.pagesTotal = static_cast<std::uint32_t>(document_.places.size());
    if (out.whole()) return out.pagesRead = out.pagesTotal, out;
    const std::uint64_t end = read.empty() ? 0 : read.back().first + read.back().count;
    for (const Place& place : document_.places) {
        if (place.text.first + place.text.count > end) break;
        ++out.pagesRead;
    }
    return out;
}

ReadingProgress Reading::progress() const {
    const Coverage now = coverage();
    const auto done = now.tokensRead, total = static_cast<std::uint64_t>(read_->ids().size() - opening_);
    return {done,
            total,
            now.pagesRead,
            now.pagesTotal,
            progress_.tokensPerSecond(),
            complete() ? 0 : progress_.etaSeconds(tokens(), read_->ids().size()),
            progress_.speed()};
}

std::uint64_t Reading::restBytes() const {
    const auto rest = static_cast<std::uint32_t>(read_->ids().size() - tokens());
    return rest == 0 ? 0 : mostStoredBytes(kv().shape(), kv().codec(), rest);
}

Result<bool> Reading::step(Workspace& work) {
    if (complete()) return false;
    const auto start = std::chrono::steady_clock::now();
    if (!read_->inBatch()) {
        const std::uint32_t most = static_cast<std::uint32_t>(work.rows()) / kGroupTokens * kGroupTokens;
        if (auto begun = read_->beginBatch(work, progress_.batchTokens(kBatchSeconds, most)); !begun)
            return begun.error();
        batchSeconds_ = 0;
    }
    const auto more = read_->step();
    batchSeconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!more) return more.error();
    if (*more) return true;
    const std::uint32_t from = tokens();
    if (auto ended = read_->endBatch(); !ended) return ended.error();
    progress_.add(from, tokens(), batchSeconds_);
    if (!complete()) return true;
    // Without it nothing is lost but a check.
    static_cast<void>(static_cast<bool>(read_->keepProbe(work)));
    return false;
}

}  // namespace carrel
