#include "session/reading.h"

#include <algorithm>
#include <chrono>

namespace carrel {

namespace {

constexpr std::uint32_t kReserve = 2048;  // of the window, for tail and answer
constexpr double kBatchSeconds = 1.5;     // a crash loses one batch at most

std::size_t commonPrefix(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
    return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

Reading::Reading(const LoadedModel& model, Document document)
    : model_(model), document_(std::move(document)), sequence_(model.model().config.kvShape()) {}

Result<std::unique_ptr<Reading>> Reading::open(const LoadedModel& model, ReadingStore& store, Document document) {
    std::unique_ptr<Reading> reading(new Reading(model, std::move(document)));
    auto tokens = model.tokenizer().encode(reading->document_.text);
    if (!tokens) return tokens.error();
    reading->tokens_ = std::move(*tokens);
    reading->ids_ = model.prompt().opening();
    reading->opening_ = static_cast<std::uint32_t>(reading->ids_.size());

    const ModelConfig& config = model.model().config;
    const std::size_t reserve = std::min(kReserve, config.window / 4);
    const std::size_t room = config.window - std::min<std::size_t>(config.window, reserve + reading->opening_);
    for (std::size_t i = 0; i < std::min(room, reading->tokens_.size()); ++i)
        reading->ids_.push_back(reading->tokens_[i].id);

    const std::string settings = "rope=" + config.ropeText + ";window;dense;prompt=" + std::to_string(kPromptVersion);
    auto stream =
        store.openReading({reading->document_.sha256, model.model().fingerprint, settings, "f16"}, config.kvShape());
    if (!stream) return stream.error();
    reading->stream_ = std::move(*stream);
    if (auto loaded = reading->loadStored(); !loaded) return loaded.error();
    auto words = WordIndex::build(reading->document_);
    if (!words) return words.error();
    reading->words_ = std::move(*words);
    return reading;
}

Status Reading::loadStored() {
    Error failed;
    std::vector<std::shared_ptr<KvBlock>> blocks;
    const auto good = stream_->load([&](std::uint32_t first, std::uint32_t tokens) -> std::span<std::byte> {
        auto block = KvBlock::make(model_.backend(), sequence_.shape(), first, tokens);
        if (!block) return failed = block.error(), std::span<std::byte>{};
        blocks.push_back(std::move(*block));
        return blocks.back()->payload();
    });
    if (!good) return good.error();
    for (auto& block : blocks) sequence_.push(std::move(block));

    // What is stored is used only as far as it is whole and of these very tokens.
    std::size_t keep = std::min<std::size_t>(*good, commonPrefix(stream_->ids(), ids_));
    if (keep < stream_->tokens()) {
        keep = keep / kGroupTokens * kGroupTokens;
        if (auto dropped = stream_->truncate(static_cast<std::uint32_t>(keep)); !dropped) return dropped;
        sequence_.truncate(static_cast<std::uint32_t>(keep));
    }
    reused_ = keep;
    return {};
}

std::span<const TextToken> Reading::readTokens() const {
    return std::span(tokens_).first(std::max<std::size_t>(sequence_.tokens(), opening_) - opening_);
}

Coverage Reading::coverage() const {
    const auto read = readTokens();
    Coverage out{0, 0, read.size(), tokens_.size()};
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
    const auto done = now.tokensRead, total = static_cast<std::uint64_t>(ids_.size() - opening_);
    return {done,
            total,
            now.pagesRead,
            now.pagesTotal,
            progress_.tokensPerSecond(),
            complete() ? 0 : progress_.etaSeconds(sequence_.tokens(), ids_.size())};
}

Status Reading::beginBatch(Workspace& work) {
    const std::uint32_t from = sequence_.tokens();
    const std::uint32_t most = static_cast<std::uint32_t>(work.rows()) / kGroupTokens * kGroupTokens;
    std::uint32_t count = progress_.batchTokens(kBatchSeconds, most);
    count -= from % kGroupTokens;  // batches end where groups end, but for the last
    count = std::min<std::uint32_t>(count, static_cast<std::uint32_t>(ids_.size()) - from);
    auto open = sequence_.extend(model_.backend(), count);
    if (!open) return open.error();
    open_ = std::move(*open);
    pass_.emplace(model_.model(), model_.backend(), work,
                  std::vector<PassInput>{{&sequence_, open_.get(), std::span(ids_).subspan(from, count)}}, false);
    batchSeconds_ = 0;
    return {};
}

Status Reading::endBatch() {
    const std::uint32_t from = sequence_.tokens();
    const KvBatch batch{open_->first(), std::span<const std::int32_t>(ids_).subspan(open_->first(), open_->tokens()),
                        open_->payload()};
    const auto committed = stream_->commit(batch);
    if (committed) {
        sequence_.push(open_);
        progress_.add(from, sequence_.tokens(), batchSeconds_);
    }
    dropBatch();
    return committed;
}

void Reading::dropBatch() {
    pass_.reset();
    open_.reset();
}

Result<bool> Reading::step(Workspace& work) {
    if (complete()) return false;
    const auto start = std::chrono::steady_clock::now();
    const auto spend = [&] {
        batchSeconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    if (!pass_) {
        if (auto begun = beginBatch(work); !begun) return begun.error();
    }
    const bool more = pass_->step();
    spend();
    if (more) return true;
    if (auto ended = endBatch(); !ended) return ended.error();
    return !complete();
}

}  // namespace carrel
