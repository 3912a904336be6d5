#include <carrel/compute.h>

#include <algorithm>
#include <chrono>
#include <deque>

#include "compute/registry.h"
#include "document/document.h"
#include "session/loaded_model.h"
#include "session/reading.h"
#include "session/turn.h"
#include "store/reading_store.h"

namespace carrel {

namespace {

using Clock = std::chrono::steady_clock;
double secondsSince(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr std::size_t kOpenReadings = 2;  // kept in memory: the one that is read and the one that is asked
constexpr std::size_t kTurnRows = 64;     // of the workspace of questions and answers

const Error kStopped{Code::Cancelled, "", "stopped"};

class Engine final : public Compute {
  public:
    Engine(ComputeOptions options, EventSink& events, std::unique_ptr<Backend> backend,
           std::unique_ptr<ReadingStore> store)
        : options_(std::move(options)),
          events_(events),
          backend_(std::move(backend)),
          store_(std::move(store)),
          documents_(options_.dataDir) {}

    Result<ModelInfo> loadModel(const std::filesystem::path& file) override {
        if (activeRead_ || activeTurn_)
            return Error{Code::InvalidArgument, file.string(), "a reading or an answer is under way"};
        const auto start = Clock::now();
        auto info = inspectModel(file);  // a file that cannot run leaves the loaded model alone
        if (!info) return info.error();
        tail_.reset();
        readings_.clear();
        loaded_.reset();
        auto loaded = LoadedModel::load(file, *backend_);
        if (!loaded) return loaded.error();
        auto readWork = Workspace::make(*backend_, (*loaded)->model().config, kBatchTokens);
        if (!readWork) return readWork.error();
        auto turnWork = Workspace::make(*backend_, (*loaded)->model().config, kTurnRows);
        if (!turnWork) return turnWork.error();
        loaded_ = std::move(*loaded);
        readWork_ = std::move(*readWork);
        turnWork_ = std::move(*turnWork);
        modelLoadS_ = secondsSince(start);
        return loaded_->info();
    }

    void read(ReadRequest request) override { reads_.push_back(std::move(request)); }
    void ask(TurnRequest request) override {
        events_.turnStage(request.ticket, TurnStage::Queued);
        turns_.push_back(std::move(request));
    }

    bool step() override {
        if (activeTurn_)
            stepTurn();
        else if (const auto next = runnableTurn(); next != turns_.end())
            beginTurn(next);
        else if (activeRead_)
            stepRead();
        else if (!reads_.empty())
            beginRead();
        return activeTurn_ || activeRead_ || !turns_.empty() || !reads_.empty();
    }

    Result<ReadingSummary> readingOf(const std::string& document) override {
        if (!loaded_) return noModel();
        if (const Reading* reading = find(document)) return summary(*reading, 0);
        const auto rows = storedReadings(document);
        if (!rows) return rows.error();
        ReadingSummary out;
        out.document = document;
        for (const StoredReading& row : *rows)
            if (row.loadedModel) {
                out.coverage.tokensRead = row.tokens;
                out.diskBytes = row.diskBytes;
                out.kvBytesF16 = row.tokens * loaded_->info().kvBytesPerToken;
            }
        return out;
    }

    Result<std::vector<StoredReading>> storedReadings(const std::string& document) override {
        const auto rows = store_->readingsOf(document);
        if (!rows) return rows.error();
        std::vector<StoredReading> out;
        for (const StreamInfo& row : *rows)
            if (row.tokens > 0)
                out.push_back({row.key.model, loaded_ && row.key.model == loaded_->model().fingerprint, row.tokens,
                               row.diskBytes});
        return out;
    }

    Status forgetReadings(const std::string& document) override {
        if (activeTurn_ && activeTurn_->request.document == document) endTurn(Result<Answer>(kStopped));
        if (activeRead_ && activeRead_->request.document == document) endRead(kStopped);
        tail_.reset();
        std::erase_if(readings_, [&](const auto& reading) { return reading->document().sha256 == document; });
        return store_->forgetDocument(document);
    }

    Status forgetChat(const std::string& chat) override {
        if (activeTurn_ && activeTurn_->request.chat == chat) endTurn(Result<Answer>(kStopped));
        if (tail_ && tail_->chat == chat) tail_.reset();
        return store_->forgetTail(chat);
    }

  private:
    struct ActiveRead {
        ReadRequest request;
        Reading* reading;
        Clock::time_point started;
    };
    struct ActiveTurn {
        TurnRequest request;
        std::unique_ptr<Turn> turn;
        TurnStage stage;
        double resumeS;
    };

    static Error noModel() { return {Code::InvalidArgument, "", "no model is loaded"}; }

    Reading* find(const std::string& document) const {
        const auto at = std::find_if(readings_.begin(), readings_.end(),
                                     [&](const auto& r) { return r->document().sha256 == document; });
        return at == readings_.end() ? nullptr : at->get();
    }

    Result<Reading*> openReading(const std::string& sha256, const std::string& password, std::stop_token stop) {
        if (!loaded_) return noModel();
        if (Reading* reading = find(sha256)) return reading;
        auto document = documents_.load(sha256, {options_.pdfHelper, password, {}, std::move(stop)});
        if (!document) return document.error();
        auto reading = Reading::open(*loaded_, *store_, std::move(*document));
        if (!reading) return reading.error();
        for (std::size_t i = 0; readings_.size() >= kOpenReadings && i < readings_.size();) {
            if (activeRead_ && readings_[i].get() == activeRead_->reading)
                ++i;
            else
                tail_.reset(), readings_.erase(readings_.begin() + static_cast<std::ptrdiff_t>(i));
        }
        readings_.push_back(std::move(*reading));
        return readings_.back().get();
    }

    ReadingSummary summary(const Reading& reading, double seconds) const {
        return {reading.document().sha256,
                reading.coverage(),
                reading.reusedTokens(),
                seconds,
                reading.sequence().tokens() * loaded_->info().kvBytesPerToken,
                reading.stream().diskBytes()};
    }

    void beginRead() {
        ActiveRead active{std::move(reads_.front()), nullptr, Clock::now()};
        reads_.pop_front();
        activeRead_.emplace(std::move(active));
        if (activeRead_->request.stop.stop_requested()) return endRead(kStopped);
        const auto reading =
            openReading(activeRead_->request.document, activeRead_->request.password, activeRead_->request.stop);
        if (!reading) return endRead(reading.error());
        activeRead_->reading = *reading;
        events_.readingProgress(activeRead_->request.ticket, (*reading)->progress());
        if ((*reading)->complete()) endRead(summary(**reading, secondsSince(activeRead_->started)));
    }

    void stepRead() {
        Reading& reading = *activeRead_->reading;
        if (activeRead_->request.stop.stop_requested()) {
            reading.dropBatch();
            return endRead(kStopped);
        }
        const std::uint32_t before = reading.sequence().tokens();
        const auto more = reading.step(readWork_);
        if (!more) return endRead(more.error());
        if (reading.sequence().tokens() != before)
            events_.readingProgress(activeRead_->request.ticket, reading.progress());
        if (!*more) endRead(summary(reading, secondsSince(activeRead_->started)));
    }

    void endRead(const Result<ReadingSummary>& result) {
        const std::uint64_t ticket = activeRead_->request.ticket;
        activeRead_.reset();
        events_.readingEnded(ticket, result);
    }

    /// A question to a document of which nothing is read yet waits for its first batch.
    bool waitsForReading(const TurnRequest& request) const {
        const auto same = [&](const ReadRequest& read) { return read.document == request.document; };
        const bool toBeRead =
            (activeRead_ && same(activeRead_->request)) || std::any_of(reads_.begin(), reads_.end(), same);
        if (!toBeRead || request.stop.stop_requested()) return false;
        const Reading* reading = find(request.document);
        return reading == nullptr || (!reading->complete() && reading->readTokens().empty());
    }

    std::deque<TurnRequest>::iterator runnableTurn() {
        return std::find_if(turns_.begin(), turns_.end(),
                            [&](const TurnRequest& turn) { return !waitsForReading(turn); });
    }

    void beginTurn(std::deque<TurnRequest>::iterator at) {
        activeTurn_.emplace(ActiveTurn{std::move(*at), nullptr, TurnStage::Opening, 0});
        turns_.erase(at);
        TurnRequest& request = activeTurn_->request;
        if (request.stop.stop_requested()) return endTurn(Result<Answer>(kStopped));
        events_.turnStage(request.ticket, TurnStage::Opening);
        const auto start = Clock::now();
        const auto reading = openReading(request.document, request.password, request.stop);
        if (!reading) return endTurn(Result<Answer>(reading.error()));
        if ((*reading)->readTokens().empty())
            return endTurn(Result<Answer>(Error{Code::InvalidArgument, "", "nothing of this document is read yet"}));
        activeTurn_->resumeS = secondsSince(start);
        activeTurn_->turn = std::make_unique<Turn>(*loaded_, **reading, turnWork_, request);
        if (auto ready = activeTurn_->turn->prepare(*store_, std::move(tail_)); !ready)
            return endTurn(Result<Answer>(ready.error()));
        enterStage(TurnStage::ReadingQuestion);
    }

    void enterStage(TurnStage stage) {
        if (activeTurn_->stage == stage) return;
        activeTurn_->stage = stage;
        events_.turnStage(activeTurn_->request.ticket, stage);
    }

    void stepTurn() {
        Turn& turn = *activeTurn_->turn;
        const bool stopped = activeTurn_->request.stop.stop_requested();
        const auto more = stopped ? Result<bool>(false) : turn.step();
        if (!more) return endTurn(Result<Answer>(more.error()));
        enterStage(turn.stage());
        if (const std::string text = turn.takeText(); !text.empty())
            events_.turnText(activeTurn_->request.ticket, text);
        if (*more) return;
        Answer answer = turn.finish(stopped);
        answer.timings.modelLoadS = modelLoadS_;
        answer.timings.resumeS = activeTurn_->resumeS;
        answer.timings.firstTokenS += activeTurn_->resumeS;
        tail_ = turn.takeTail();
        endTurn(std::move(answer));
    }

    void endTurn(const Result<Answer>& result) {
        const std::uint64_t ticket = activeTurn_->request.ticket;
        activeTurn_.reset();
        if (result)
            events_.answered(ticket, *result);
        else
            events_.turnFailed(ticket, result.error());
    }

    ComputeOptions options_;
    EventSink& events_;
    std::unique_ptr<Backend> backend_;
    std::unique_ptr<LoadedModel> loaded_;
    std::unique_ptr<ReadingStore> store_;
    DocumentStore documents_;
    Workspace readWork_, turnWork_;
    std::vector<std::unique_ptr<Reading>> readings_;
    std::unique_ptr<Tail> tail_;  // of the chat that was asked last
    std::deque<ReadRequest> reads_;
    std::deque<TurnRequest> turns_;
    std::optional<ActiveRead> activeRead_;
    std::optional<ActiveTurn> activeTurn_;
    double modelLoadS_ = 0;
};

}  // namespace

Result<std::unique_ptr<Compute>> Compute::open(const ComputeOptions& options, EventSink& events) {
    auto backend = makeCpuBackend(options.isa, options.threads);
    if (!backend) return backend.error();
    auto store = ReadingStore::open(realFileSystem(), options.dataDir);
    if (!store) return store.error();
    return std::unique_ptr<Compute>(std::make_unique<Engine>(options, events, std::move(*backend), std::move(*store)));
}

}  // namespace carrel
