#include "session/engine.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>

#include "compute/choose_backend.h"
#include "document/document.h"
#include "session/forecast.h"
#include "session/loaded_model.h"
#include "session/quota.h"
#include "session/reading.h"
#include "session/turn_batch.h"
#include "store/reading_store.h"

namespace carrel {

namespace {

using Clock = std::chrono::steady_clock;
double secondsSince(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr std::size_t kOpenReadings = 2;  // kept in memory: the one that is read and the one that is asked
constexpr std::size_t kTurnRows = 64;     // of the workspace of questions and answers
constexpr std::size_t kTogether = 8;      // turns answered together, and chats whose tails stay in memory

constexpr std::uint64_t kMending = UINT64_MAX;  // ticket of a reading that nobody waits for

const Error kStopped{Code::Cancelled, "", "stopped"};

class Engine final : public Compute {
  public:
    Engine(ComputeOptions options, EventSink& events, std::unique_ptr<ReadingStore> store, FileSystem& files)
        : options_(std::move(options)),
          events_(events),
          files_(files),
          store_(std::move(store)),
          documents_(options_.dataDir) {}

    ~Engine() override {
        for (const auto& reading : readings_) remember(*reading);
    }

    Result<ModelInfo> loadModel(const std::filesystem::path& file) override {
        if (activeRead_ || batch_)
            return Error{Code::InvalidArgument, file.string(), "a reading or an answer is under way"};
        const auto start = Clock::now();
        if (loaded_)  // a file that cannot run leaves it alone
            if (const auto info = inspectModel(file, loaded_->info().fileBytes); !info) return info.error();
        unloadModel();
        if (chosen_.forOneModel || options_.threads != threads_) chosen_ = {};
        if (auto ready = needBackend(); !ready) return ready.error();
        const auto done = loadOnto(chosen_, backendOptions(), [&](Backend& backend) -> Status {
            auto loaded = LoadedModel::load(file, backend, options_.dataDir);
            if (!loaded) return loaded.error();
            auto readWork = Workspace::make(backend, (*loaded)->model().config, kBatchTokens);
            if (!readWork) return readWork.error();
            auto turnWork = Workspace::make(backend, (*loaded)->model().config, kTurnRows);
            if (!turnWork) return turnWork.error();
            loaded_ = std::move(*loaded);
            readWork_ = std::move(*readWork);
            turnWork_ = std::move(*turnWork);
            return {};
        });
        if (!done) return done.error();
        modelLoadS_ = secondsSince(start);
        modelFile_ = file;
        return loaded_->info();
    }

    Result<Processor> processor() override {
        if (auto ready = needBackend(); !ready) return ready.error();
        return chosen_.processor;
    }

    void useThreads(unsigned threads) override { options_.threads = threads; }

    void read(ReadRequest request) override { reads_.push_back(std::move(request)); }
    void ask(TurnRequest request) override {
        events_.turnStage(request.ticket, TurnStage::Queued);
        turns_.push_back({std::move(request)});
    }

    bool step() override {
        if (batch_)
            stepTurns();
        else if (const auto next = runnableTurn(nullptr); next != turns_.end())
            beginTurn(next);
        else if (activeRead_)
            stepRead();
        else if (!reads_.empty())
            beginRead();
        return batch_ || activeRead_ || !turns_.empty() || !reads_.empty();
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
                out.kvBytesF16 = row.tokens * loaded_->model().config.kvBytesPerToken();
            }
        return out;
    }

    Result<ReadingForecast> forecast(const std::string& document, const std::string& password) override {
        if (!loaded_) return noModel();
        if (const Reading* reading = find(document))
            return withRoom(forecastOf(*loaded_, options_.kv, reading->documentTokens()), document);
        const auto text = documents_.load(document, {options_.pdfHelper, password, {}, {}});
        if (!text) return text.error();
        const auto tokens = loaded_->tokenizer().encode(text->text, TextStart::AfterText);
        if (!tokens) return tokens.error();
        return withRoom(forecastOf(*loaded_, options_.kv, tokens->size()), document);
    }

    Result<std::vector<StoredReading>> storedReadings(const std::string& document) override {
        const auto rows = store_->readingsOf(document);
        if (!rows) return rows.error();
        std::vector<StoredReading> out;
        for (const StreamInfo& row : *rows)
            if (row.tokens > 0)
                out.push_back({row.key.document, row.key.model,
                               loaded_ && row.key.model == loaded_->model().fingerprint, row.tokens, row.diskBytes,
                               row.use.coverage, row.use.complete, row.use.at});
        return out;
    }

    std::optional<TierView> tiers(const std::string& document) override {
        const Reading* reading = find(document);
        if (reading == nullptr) return std::nullopt;
        TierView out;
        out.report = batch_ && &batch_->reading() == reading ? batch_->report() : reading->report({}, 0);
        out.report.disk.usedBytes = reading->stream().diskBytes().all();
        out.rows = reading->kv().places();
        out.counting = reading->counting();
        out.totalTokens = reading->allTokens();
        out.pageStarts = reading->pageStarts();
        return out;
    }

    Result<DiskUse> diskUse() override {
        const auto kept = keptReadings(*store_, files_, options_.dataDir);
        if (!kept) return kept.error();
        return DiskUse{quotaOf(options_.disk, kept->freeBytes, kept->usedBytes), kept->usedBytes, kept->freeBytes};
    }

    Result<DiskUse> setQuota(std::uint64_t bytes) override {
        options_.disk.quotaBytes = bytes;
        if (auto evicted = makeRoomFor(0); !evicted && evicted.error().code != Code::DiskFull) return evicted.error();
        return diskUse();
    }

    Result<Source> placeOf(const std::string& document, std::uint32_t token, std::uint32_t count) override {
        const Reading* reading = find(document);
        if (reading == nullptr) return Error{Code::NotFound, document, "it is not open"};
        return reading->placeOf(token, count);
    }

    void setMemory(std::uint64_t deviceBytes, std::uint64_t hostBytes) override {
        if (options_.kv.deviceBytes == deviceBytes && options_.kv.hostBytes == hostBytes) return;
        options_.kv.deviceBytes = deviceBytes;
        options_.kv.hostBytes = hostBytes;
        for (std::size_t i = 0; i < readings_.size();)
            if (busy(*readings_[i]))
                readings_[i++]->outdate();
            else
                closeReading(readings_[i]->document().sha256);
    }

    Result<StoredCheck> verify(const std::string& document) override {
        const bool open = find(document) != nullptr;
        const auto reading = openReading(document, {}, {}, true);
        if (!reading) return reading.error();
        // Opening drops what is bad: what it found first is what was there.
        const auto checked = open ? (*reading)->stream().verify() : Result<KvStream::Check>(*(*reading)->found());
        if (!checked) return checked.error();
        auto work = Workspace::make(*chosen_.backend, loaded_->model().config, 1);  // passes may lie in the others
        if (!work) return work.error();
        const auto holds = (*reading)->probeHolds(*work);
        if (!holds && holds.error().code != Code::NotFound && holds.error().code != Code::Corrupt) return holds.error();
        return StoredCheck{checked->groups, checked->bad, holds && *holds};
    }

    Status forgetReadings(const std::string& document) override {
        if (batch_ && batch_->reading().document().sha256 == document) failTurns(kStopped);
        if (activeRead_ && activeRead_->request.document == document) endRead(kStopped);
        std::erase_if(reads_,
                      [&](const ReadRequest& read) { return read.ticket == kMending && read.document == document; });
        closeReading(document);
        return store_->forgetDocument(document);
    }

    Status forgetChat(const std::string& chat) override {
        const auto ofChat = [&](const auto& turn) { return turn.request.chat == chat; };
        if (batch_ && std::any_of(batch_->members().begin(), batch_->members().end(), ofChat))
            while (batch_ && !batch_->betweenPasses()) stepTurns();  // it is other turns' pass too
        if (batch_) failTurns(kStopped, ofChat);
        std::vector<std::uint64_t> waiting;
        for (const WaitingTurn& turn : turns_)
            if (ofChat(turn)) waiting.push_back(turn.request.ticket);
        std::erase_if(turns_, ofChat);
        for (const std::uint64_t ticket : waiting) events_.turnFailed(ticket, kStopped);
        std::erase_if(tails_, [&](const auto& tail) { return tail->chat == chat; });
        return store_->forgetTail(chat);
    }

  private:
    struct ActiveRead {
        ReadRequest request;
        Reading* reading;
        Clock::time_point started;
        bool mending = false;  // what was found damaged is read again; nobody asked for it
    };
    struct WaitingTurn {
        TurnRequest request;
        std::size_t told = 0;  // bytes of the answer that were handed out before its reading had to be mended
        bool mended = false;
        TurnStage stage = TurnStage::Opening;  // reported then
        bool waits = false;                    // until what there was of its document is read again
    };

    /// What has to go for a reading that is forecast; less is known where the disk cannot be asked.
    Result<ReadingForecast> withRoom(Result<ReadingForecast> forecast, const std::string& document) {
        if (!forecast) return forecast;
        std::uint64_t have = 0;
        const auto stored = storedReadings(document);
        for (const StoredReading& row : stored ? *stored : std::vector<StoredReading>{})
            if (row.loadedModel) have = row.diskBytes;
        const auto open = [&](const StreamInfo& row) { return row.key.document == document || isOpen(row); };
        const auto room = planRoom(forecast->diskBytes - std::min(have, forecast->diskBytes), options_.disk, *store_,
                                   files_, options_.dataDir, open);
        if (!room) return forecast;
        forecast->fits = room->plan.fits;
        for (const std::size_t i : room->plan.evict) forecast->evicted.push_back(room->kept.rows[i].key.document);
        return forecast;
    }

    bool isOpen(const StreamInfo& row) { return find(row.key.document) != nullptr; }

    Status makeRoomFor(std::uint64_t need) {
        const auto open = [this](const StreamInfo& row) { return isOpen(row); };
        const auto tell = [this](const StreamInfo& row) { events_.readingEvicted(row.key.document, row.diskBytes); };
        return evictFor(need, options_.disk, *store_, files_, options_.dataDir, open, tell);
    }

    void unloadModel() {
        tails_.clear();
        while (!readings_.empty()) closeReading(readings_.back()->document().sha256);
        loaded_.reset();
        readWork_ = {};
        turnWork_ = {};
    }

    BackendOptions backendOptions() const {
        return {options_.backend, options_.isa, options_.threads, options_.cudaPlugin};
    }

    /// The GPU failed, and takes no part any more: what it was at goes to the processor.
    bool goesOn(const Error& error) {
        if (!isGpuFailure(error) || chosen_.processor.gpu.empty() || options_.backend != BackendChoice::Auto)
            return false;
        std::vector<std::uint64_t> givenUp;  // the processor's words might be others than those that were shown
        std::vector<TurnBatch::Member> none, &members = batch_ ? batch_->members() : none;
        for (auto member = members.rbegin(); member != members.rend(); ++member)
            if (member->handedOut > 0)
                givenUp.push_back(member->request.ticket);
            else
                turns_.push_front({std::move(member->request), 0, member->mended, member->stage});
        batch_.reset();
        if (activeRead_) reads_.push_front(std::move(activeRead_->request));
        activeRead_.reset();
        const std::string why = "The GPU " + chosen_.processor.gpu + " failed while it computed (" + error.detail +
                                "), and is not used until Carrel is started again.";
        options_.backend = BackendChoice::Cpu;
        unloadModel();
        chosen_ = {};
        // Without a model the requests say so themselves.
        static_cast<void>(static_cast<bool>(loadModel(std::filesystem::path(modelFile_))));
        chosen_.processor.why = why;
        for (const std::uint64_t ticket : givenUp) events_.turnFailed(ticket, error);
        return true;
    }

    Status needBackend() {
        if (chosen_.backend) return {};
        auto chosen = chooseBackend(backendOptions());
        if (!chosen) return chosen.error();
        chosen_ = std::move(*chosen);
        threads_ = options_.threads;
        return {};
    }

    static Error noModel() { return {Code::InvalidArgument, "", "no model is loaded"}; }

    Reading* find(const std::string& document) const {
        const auto at = std::find_if(readings_.begin(), readings_.end(),
                                     [&](const auto& r) { return r->document().sha256 == document; });
        return at == readings_.end() ? nullptr : at->get();
    }

    /// Without it less is known of the reading in lists and when room is made; the reading is whole.
    void remember(const Reading& reading) {
        const auto at = std::chrono::system_clock::now().time_since_epoch();
        const auto done = store_->used(reading.stream(), {std::chrono::duration_cast<std::chrono::seconds>(at).count(),
                                                          reading.coverage(), reading.complete()});
        static_cast<void>(static_cast<bool>(done));
    }

    bool busy(const Reading& reading) const {
        return (activeRead_ && &reading == activeRead_->reading) || (batch_ && &reading == &batch_->reading());
    }

    void closeReading(std::string document) {  // not the reading's own: that goes
        if (const Reading* reading = find(document)) remember(*reading);
        std::erase_if(tails_, [&](const auto& tail) { return tail->document == document; });
        std::erase_if(readings_, [&](const auto& reading) { return reading->document().sha256 == document; });
    }

    Result<Reading*> openReading(const std::string& sha256, const std::string& password, std::stop_token stop,
                                 bool suspect) {
        if (!loaded_) return noModel();
        if (Reading* reading = find(sha256)) {
            if (!reading->outdated() || busy(*reading)) return reading;
            closeReading(sha256);
        }
        auto document = documents_.load(sha256, {options_.pdfHelper, password, {}, std::move(stop)});
        if (!document) return document.error();
        for (std::size_t i = 0; readings_.size() >= kOpenReadings && i < readings_.size();) {
            if (busy(*readings_[i]))
                ++i;
            else
                closeReading(readings_[i]->document().sha256);
        }
        auto reading = Reading::open(*loaded_, *store_, std::move(*document), options_.kv, suspect);
        if (!reading) return reading.error();
        (*reading)->setCounting(++countings_);
        readings_.push_back(std::move(*reading));
        remember(*readings_.back());
        return readings_.back().get();
    }

    ReadingSummary summary(const Reading& reading, double seconds) const {
        const DiskBytes disk = reading.stream().diskBytes();
        return {reading.document().sha256,
                reading.coverage(),
                reading.reusedTokens(),
                seconds,
                reading.tokens() * loaded_->model().config.kvBytesPerToken(),
                disk.all(),
                disk.keysValues,
                disk.sketch,
                disk.headers};
    }

    void beginRead() {
        // What is open already was not looked at byte by byte; where it fails it is opened again.
        const bool mending = reads_.front().ticket == kMending && find(reads_.front().document) == nullptr;
        activeRead_.emplace(ActiveRead{std::move(reads_.front()), nullptr, Clock::now(), mending});
        reads_.pop_front();
        if (activeRead_->request.stop.stop_requested()) return endRead(kStopped);
        openActive();
    }

    void openActive() {
        const auto reading = openReading(activeRead_->request.document, activeRead_->request.password,
                                         activeRead_->request.stop, activeRead_->mending);
        if (!reading) return endRead(reading.error());
        activeRead_->reading = *reading;
        (*reading)->expect(activeRead_->request.speed);
        if (!(*reading)->complete() && !activeRead_->mending)
            if (auto room = makeRoomFor((*reading)->restBytes()); !room) return endRead(room.error());
        progress();
        if ((*reading)->complete() || (activeRead_->request.ticket == kMending && !(*reading)->damaged()))
            endRead(summary(**reading, secondsSince(activeRead_->started)));
    }

    void progress() {
        if (activeRead_->request.ticket != kMending)
            events_.readingProgress(activeRead_->request.ticket, activeRead_->reading->progress());
    }

    void stepRead() {
        Reading& reading = *activeRead_->reading;
        if (activeRead_->request.stop.stop_requested()) {
            reading.dropBatch();
            return endRead(kStopped);
        }
        const std::uint32_t before = reading.tokens();
        const auto more = reading.step(readWork_);
        if (!more && more.error().code == Code::Corrupt && !activeRead_->mending) {
            activeRead_->mending = true;  // once; a second time it is told
            activeRead_->reading = nullptr;
            closeReading(activeRead_->request.document);
            return openActive();
        }
        if (!more) return endRead(more.error());
        if (reading.tokens() != before) {
            remember(reading);
            progress();
        }
        const bool mended = activeRead_->request.ticket == kMending && !reading.damaged();
        if (!*more || mended) endRead(summary(reading, secondsSince(activeRead_->started)));
    }

    void endRead(const Result<ReadingSummary>& result) {
        if (!result && goesOn(result.error())) return;
        const ReadRequest request = std::move(activeRead_->request);
        activeRead_.reset();
        if (request.ticket != kMending)
            events_.readingEnded(request.ticket, result);
        else if (!result)
            failWaiting(request.document, result.error());
    }

    /// Turns whose document cannot be mended: half of what was read would give another answer.
    void failWaiting(const std::string& document, const Error& error) {
        std::vector<std::uint64_t> waiting;
        std::erase_if(turns_, [&](const WaitingTurn& turn) {
            const bool fails = turn.waits && turn.request.document == document;
            if (fails) waiting.push_back(turn.request.ticket);
            return fails;
        });
        for (const std::uint64_t ticket : waiting) events_.turnFailed(ticket, error);
    }

    /// A question to a document of which nothing is read yet waits for its first batch; one whose reading is mended,
    /// for what there was.
    bool waitsForReading(const WaitingTurn& turn) const {
        const auto same = [&](const ReadRequest& read) { return read.document == turn.request.document; };
        const bool toBeRead =
            (activeRead_ && same(activeRead_->request)) || std::any_of(reads_.begin(), reads_.end(), same);
        if (!toBeRead || turn.request.stop.stop_requested()) return false;
        const Reading* reading = find(turn.request.document);
        if (turn.waits) return reading == nullptr || reading->damaged();
        return reading == nullptr || (!reading->complete() && reading->readTokens().empty());
    }

    /// The next turn that can begin; beside others on `reading` only one on it, of a chat that is not among them.
    std::deque<WaitingTurn>::iterator runnableTurn(const Reading* reading) {
        return std::find_if(turns_.begin(), turns_.end(), [&](const WaitingTurn& turn) {
            if (waitsForReading(turn)) return false;
            if (reading == nullptr) return true;
            return turn.request.document == reading->document().sha256 &&
                   std::none_of(batch_->members().begin(), batch_->members().end(),
                                [&](const auto& member) { return member.request.chat == turn.request.chat; });
        });
    }

    void beginTurn(std::deque<WaitingTurn>::iterator at) {
        WaitingTurn waiting = std::move(*at);
        turns_.erase(at);
        const TurnRequest& request = waiting.request;
        const auto fail = [&](const Error& error) {
            if (goesOn(error)) return turns_.push_front(std::move(waiting));
            events_.turnFailed(request.ticket, error);
        };
        if (request.stop.stop_requested()) return fail(kStopped);
        if (!waiting.waits) events_.turnStage(request.ticket, TurnStage::Opening);
        const auto start = Clock::now();
        const auto reading = openReading(request.document, request.password, request.stop, false);
        if (!reading) return fail(reading.error());
        if ((*reading)->damaged()) {
            readAgain(request);
            waiting.waits = true;
            return turns_.push_front(std::move(waiting));
        }
        if ((*reading)->readTokens().empty())
            return fail({Code::InvalidArgument, "", "nothing of this document is read yet"});
        const double resumeS = secondsSince(start);
        auto turn = std::make_unique<Turn>(*loaded_, **reading, turnWork_, request);
        const auto tail = std::find_if(tails_.begin(), tails_.end(), [&](const auto& one) {
            return one->document == request.document && one->chat == request.chat;
        });
        std::unique_ptr<Tail> open;
        if (tail != tails_.end()) {
            open = std::move(*tail);
            tails_.erase(tail);
        }
        if (auto ready = turn->prepare(*store_, std::move(open)); !ready) return fail(ready.error());
        if (!batch_) {
            batch_.emplace(*loaded_, turnWork_, **reading);
            (*reading)->setCounting(++countings_);
        }
        batch_->add({std::move(waiting.request),
                     std::move(turn),
                     resumeS,
                     waiting.stage,
                     {},
                     false,
                     waiting.told,
                     waiting.mended});
        report(batch_->members().back());
    }

    void report(TurnBatch::Member& member) {
        if (const TurnStage stage = member.turn->stage(); stage > member.stage) {
            member.stage = stage;
            events_.turnStage(member.request.ticket, stage);
        }
        if (const auto read = member.turn->questionTokens();
            member.stage == TurnStage::ReadingQuestion && read != member.read) {
            member.read = read;
            events_.questionProgress(member.request.ticket, read.done, read.total);
        }
        std::string text = member.turn->takeText();
        const std::size_t known = std::min(member.told, text.size());
        member.told -= known;
        member.handedOut += text.size();
        text.erase(0, known);
        if (!text.empty()) events_.turnText(member.request.ticket, text);
    }

    void stepTurns() {
        const auto stopped = [](const TurnBatch::Member& member) { return member.request.stop.stop_requested(); };
        auto& members = batch_->members();
        if (std::all_of(members.begin(), members.end(), stopped)) batch_->dropPass();
        if (batch_->betweenPasses()) {
            for (std::size_t i = 0; i < members.size();)
                if (members[i].complete || stopped(members[i]))
                    endTurn(i);
                else
                    ++i;
            while (!members.empty() && members.size() < kTogether) {
                const auto next = runnableTurn(&batch_->reading());
                if (next == turns_.end()) break;
                beginTurn(next);
                if (!batch_) return;  // the GPU failed
            }
            if (members.empty()) return batch_.reset();
        }
        const auto done = batch_->step();
        for (auto& member : members) report(member);
        if (!done) done.error().code == Code::Corrupt ? mend(done.error()) : failTurns(done.error());
    }

    void endTurn(std::size_t index) {
        auto& member = batch_->members()[index];
        Answer answer = member.turn->finish(!member.complete);
        answer.timings.modelLoadS = modelLoadS_;
        answer.timings.resumeS = member.resumeS;
        answer.timings.firstTokenS += member.resumeS;
        answer.tiers = batch_->report();
        report(member);
        tails_.push_back(member.turn->takeTail());
        if (tails_.size() > kTogether) tails_.erase(tails_.begin());
        const std::uint64_t ticket = member.request.ticket;
        batch_->members().erase(batch_->members().begin() + static_cast<std::ptrdiff_t>(index));
        events_.answered(ticket, answer);
    }

    /// Between passes where `which` are not all.
    void failTurns(const Error& error, const std::function<bool(const TurnBatch::Member&)>& which) {
        std::vector<std::uint64_t> tickets;
        for (const auto& member : batch_->members())
            if (which(member)) tickets.push_back(member.request.ticket);
        std::erase_if(batch_->members(), which);
        if (batch_->members().empty()) batch_.reset();
        for (const std::uint64_t ticket : tickets) events_.turnFailed(ticket, error);
    }
    void failTurns(const Error& error) {
        if (goesOn(error)) return;
        failTurns(error, [](const auto&) { return true; });
    }

    /// KV that turned out to be damaged is read again, and the questions are asked again: their answers begin as they
    /// did.
    void mend(const Error& error) {
        auto& members = batch_->members();
        if (std::any_of(members.begin(), members.end(), [](const auto& member) { return member.mended; }))
            return failTurns(error);
        const TurnRequest first = members.front().request;
        for (auto member = members.rbegin(); member != members.rend(); ++member)
            turns_.push_front({std::move(member->request), member->handedOut, true, member->stage, true});
        batch_.reset();
        closeReading(first.document);
        if (activeRead_ && activeRead_->request.document == first.document) {
            activeRead_->mending = true;
            return openActive();
        }
        readAgain(first);
        if (!activeRead_) beginRead();
    }

    /// Nobody waits for it but turns.
    void readAgain(const TurnRequest& turn) {
        ReadRequest again;
        again.ticket = kMending;
        again.document = turn.document;
        again.password = turn.password;
        reads_.push_front(std::move(again));
    }

    ComputeOptions options_;
    unsigned threads_ = 0;  // of the backend
    EventSink& events_;
    FileSystem& files_;
    ChosenBackend chosen_;  // none before it is needed: a GPU's driver takes its time
    std::unique_ptr<LoadedModel> loaded_;
    std::unique_ptr<ReadingStore> store_;
    DocumentStore documents_;
    Workspace readWork_, turnWork_;
    std::vector<std::unique_ptr<Reading>> readings_;
    std::vector<std::unique_ptr<Tail>> tails_;  // of the chats that were asked last
    std::deque<ReadRequest> reads_;
    std::deque<WaitingTurn> turns_;
    std::optional<ActiveRead> activeRead_;
    std::optional<TurnBatch> batch_;
    double modelLoadS_ = 0;
    std::filesystem::path modelFile_;  // of loaded_
    std::uint64_t countings_ = 0;
};

}  // namespace

Result<std::unique_ptr<Compute>> Compute::open(const ComputeOptions& options, EventSink& events) {
    return openCompute(options, events, realFileSystem());
}

Result<std::unique_ptr<Compute>> openCompute(const ComputeOptions& options, EventSink& events, FileSystem& files) {
    auto store = ReadingStore::open(files, options.dataDir);
    if (!store) return store.error();
    return std::unique_ptr<Compute>(std::make_unique<Engine>(options, events, std::move(*store), files));
}

}  // namespace carrel
