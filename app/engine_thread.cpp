#include "engine_thread.h"

#include "compute_loop.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace carrel::app {
namespace {

constexpr std::chrono::milliseconds kModelChange{60'000};  // a stopped turn ends within a batch, long before
constexpr std::chrono::milliseconds kClosing{700};         // of the second in which a closed window is gone
constexpr int kComputeNice = 10;                           // the window and everything else on this PC go first

LibraryOptions libraryOptions(const ComputeOptions& o) {
    return {.dataDir = o.dataDir, .pdfHelper = o.pdfHelper};
}
PagesOptions pagesOptions(const ComputeOptions& o) {
    return {.dataDir = o.dataDir, .pdfHelper = o.pdfHelper};
}

}  // namespace

template <class T>
void EngineThread::deliver(const Reply<T>& reply, const Result<T>& result) {
    if (!reply || closing_) return;
    QMetaObject::invokeMethod(
        this, [reply, result] { reply(result); }, Qt::QueuedConnection);
}

template <class T, class Door, class Work>
void EngineThread::on(Lane<Door>& lane, Reply<T> reply, Work work) {
    lane.post([this, &lane, reply = std::move(reply), work = std::move(work)] {
        if (!lane.door()) return deliver<T>(reply, lane.openError());
        deliver<T>(reply, work(*lane.door()));
    });
}

EngineThread::EngineThread(const ComputeOptions& options, QObject* parent)
    : EnginePort(parent),
      loop_(std::make_unique<ComputeLoop>(*this, mailbox_)),
      library_("library", [options] { return Library::open(libraryOptions(options)); }),
      intake_("intake", [options] { return Library::open(libraryOptions(options)); }),
      pages_("pages", [options] { return Pages::open(pagesOptions(options)); }),
      texts_("texts", [options] { return Pages::open(pagesOptions(options)); }),
      finder_("finder", [] { return Result(std::make_unique<std::monostate>()); }),
      threads_(options.threads),
      compute_("compute", [this, options] {
          // Threads inherit it: set before the engine starts its own.
          setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kComputeNice);
          return Compute::open(options, *loop_);
      }) {
    connect(&mailbox_, &TextMailbox::arrived, this, &EnginePort::turnText);
}

EngineThread::~EngineThread() {
    shutdown();
}

void EngineThread::inspectModel(const std::filesystem::path& file, Reply<ModelInfo> reply) {
    on<ModelInfo>(pages_, std::move(reply), [this, file](Pages&) { return carrel::inspectModel(file, loadedBytes_); });
}

void EngineThread::loadModel(const std::filesystem::path& file, Reply<ModelInfo> reply) {
    on<ModelInfo>(compute_, std::move(reply), [this, file](Compute& compute) {
        loop_->finish(compute_, kModelChange);
        auto info = compute.loadModel(file);
        if (info) loadedBytes_ = info->fileBytes;
        return info;
    });
}

void EngineThread::useThreads(unsigned threads) {
    threads_ = threads;
    compute_.post([this, threads] {
        if (compute_.door()) compute_.door()->useThreads(threads);
    });
}

void EngineThread::processor(Reply<Processor> reply) {
    on<Processor>(compute_, std::move(reply), [](Compute& compute) { return compute.processor(); });
}

void EngineThread::findModels(std::vector<ModelPlace> places, const Machine& known, std::stop_token stop,
                              Reply<FoundModels> reply) {
    on<FoundModels>(finder_, std::move(reply), [=, this, places = std::move(places)](const std::monostate&) {
        FoundModels out{thisMachine(threads_), {}};
        const bool measured = known.identity == out.machine.identity && known.bytesPerSecond > 0;
        out.machine.bytesPerSecond = measured ? known.bytesPerSecond : measureReadRate(threads_);
        if (out.machine.availableBytes > 0) out.machine.availableBytes += loadedBytes_;  // another takes its place
        out.models = carrel::findModels(places, stop);
        rankByFit(out.models, out.machine);
        return Result(out);
    });
}

void EngineThread::read(ReadRequest request) {
    compute_.post([this, request = std::move(request)] {
        if (!compute_.door()) return loop_->fail(request.ticket, false, compute_.openError());
        compute_.door()->read(request);
        loop_->start(compute_);
    });
}

void EngineThread::ask(TurnRequest request) {
    compute_.post([this, request = std::move(request)] {
        if (!compute_.door()) return loop_->fail(request.ticket, true, compute_.openError());
        compute_.door()->ask(request);
        loop_->start(compute_);
    });
}

void EngineThread::readingOf(const std::string& document, Reply<ReadingSummary> reply) {
    on<ReadingSummary>(compute_, std::move(reply),
                       [document](Compute& compute) { return compute.readingOf(document); });
}

void EngineThread::storedReadings(Reply<std::vector<StoredReading>> reply) {
    on<std::vector<StoredReading>>(compute_, std::move(reply),
                                   [](Compute& compute) { return compute.storedReadings({}); });
}

void EngineThread::forecast(const std::string& document, const std::string& password, Reply<ReadingForecast> reply) {
    on<ReadingForecast>(compute_, std::move(reply),
                        [document, password](Compute& compute) { return compute.forecast(document, password); });
}

void EngineThread::forgetReadings(const std::string& document, Reply<void> reply) {
    on<void>(compute_, std::move(reply), [document](Compute& compute) { return compute.forgetReadings(document); });
}

void EngineThread::diskUse(Reply<DiskUse> reply) {
    on<DiskUse>(compute_, std::move(reply), [](Compute& compute) { return compute.diskUse(); });
}

void EngineThread::setQuota(std::uint64_t bytes, Reply<DiskUse> reply) {
    on<DiskUse>(compute_, std::move(reply), [bytes](Compute& compute) { return compute.setQuota(bytes); });
}

void EngineThread::forgetTail(const std::string& tail) {
    on<void>(compute_, {}, [tail](Compute& compute) { return compute.forgetChat(tail); });
}

void EngineThread::tiers(const std::string& document, Reply<std::optional<TierView>> reply) {
    on<std::optional<TierView>>(compute_, std::move(reply),
                                [document](Compute& compute) { return Result(compute.tiers(document)); });
}

void EngineThread::placeOf(const std::string& document, std::uint32_t token, std::uint32_t count, Reply<Source> reply) {
    on<Source>(compute_, std::move(reply),
               [document, token, count](Compute& compute) { return compute.placeOf(document, token, count); });
}

void EngineThread::setMemory(std::uint64_t deviceBytes, std::uint64_t hostBytes) {
    on<void>(compute_, {}, [deviceBytes, hostBytes](Compute& compute) {
        compute.setMemory(deviceBytes, hostBytes);
        return Status();
    });
}

void EngineThread::add(const std::filesystem::path& file, const std::string& password,
                       std::function<void(std::uint32_t, std::uint32_t)> progress, std::stop_token stop,
                       Reply<DocumentRow> reply) {
    const auto report = [this, progress = std::move(progress)](std::uint32_t done, std::uint32_t total) {
        if (!progress || closing_) return;
        QMetaObject::invokeMethod(
            this, [progress, done, total] { progress(done, total); }, Qt::QueuedConnection);
    };
    on<DocumentRow>(intake_, std::move(reply), [file, password, report, stop](Library& library) {
        return library.add(file, password, report, stop);
    });
}

void EngineThread::documents(Reply<std::vector<DocumentRow>> reply) {
    on<std::vector<DocumentRow>>(library_, std::move(reply), [](Library& library) { return library.documents(); });
}

void EngineThread::opened(const std::string& document, Reply<void> reply) {
    on<void>(library_, std::move(reply), [document](Library& library) { return library.opened(document); });
}

void EngineThread::forget(const std::string& document, Reply<void> reply) {
    on<void>(library_, std::move(reply), [document](Library& library) { return library.forget(document); });
}

void EngineThread::findAll(const std::string& words, Reply<std::vector<Hit>> reply) {
    on<std::vector<Hit>>(library_, std::move(reply),
                         [words](Library& library) { return library.find(words, {}, kMostHits, true); });
}

void EngineThread::newChat(const std::string& document, Reply<ChatRow> reply) {
    on<ChatRow>(library_, std::move(reply), [document](Library& library) { return library.newChat(document); });
}

void EngineThread::chats(const std::string& document, Reply<std::vector<ChatRow>> reply) {
    on<std::vector<ChatRow>>(library_, std::move(reply),
                             [document](Library& library) { return library.chats(document); });
}

void EngineThread::saveDraft(const std::string& chat, const std::string& text, Reply<void> reply) {
    on<void>(library_, std::move(reply), [chat, text](Library& library) { return library.saveDraft(chat, text); });
}

void EngineThread::forgetChat(const std::string& chat, Reply<void> reply) {
    on<void>(library_, std::move(reply), [this, chat](Library& library) {
        const auto turns = library.turns(chat);
        const Status gone = library.forgetChat(chat);
        if (!gone) return gone;
        // A tail whose reading another process holds stays until that reading is forgotten; the chat is gone all the
        // same.
        forgetTail(chat);
        if (turns)
            for (const TurnRow& turn : *turns)  // others went when they ended
                if (turn.state == TurnState::Interrupted) forgetTail(listTail(chat, turn.id));
        return gone;
    });
}

void EngineThread::startTurn(const std::string& chat, const std::string& question, Reply<std::int64_t> reply) {
    on<std::int64_t>(library_, std::move(reply),
                     [chat, question](Library& library) { return library.startTurn(chat, question); });
}

void EngineThread::saveTurn(const TurnRow& turn, Reply<void> reply) {
    on<void>(library_, std::move(reply), [turn](Library& library) { return library.saveTurn(turn); });
}

void EngineThread::turns(const std::string& chat, Reply<std::vector<TurnRow>> reply) {
    on<std::vector<TurnRow>>(library_, std::move(reply), [chat](Library& library) { return library.turns(chat); });
}

void EngineThread::pageSizes(const std::string& document, const std::string& password,
                             Reply<std::vector<PageSize>> reply) {
    on<std::vector<PageSize>>(pages_, std::move(reply),
                              [document, password](Pages& pages) { return pages.sizes(document, password); });
}

void EngineThread::render(const std::string& document, const std::string& password, std::uint32_t page,
                          std::uint32_t widthPx, std::function<bool()> wanted, Reply<PageImage> reply) {
    on<PageImage>(pages_, std::move(reply), [=, this](Pages& pages) -> Result<PageImage> {
        if (closing_ || !wanted()) return Error{Code::Cancelled, {}, {}};
        return pages.render(document, password, page, widthPx);
    });
}

void EngineThread::text(const std::string& document, Reply<std::string> reply) {
    on<std::string>(texts_, std::move(reply), [document](Pages& pages) { return pages.text(document); });
}

void EngineThread::words(const std::string& document, const std::string& password, std::uint32_t page,
                         Reply<PageWords> reply) {
    on<PageWords>(texts_, std::move(reply), [=](Pages& pages) { return pages.words(document, password, page); });
}

void EngineThread::prepareText(const std::string& document, const std::string& password) {
    on<void>(texts_, {}, [document, password](Pages& pages) { return pages.prepare(document, password); });
}

void EngineThread::letGoOfText() {
    texts_.post([this] {
        if (texts_.door()) texts_.door()->letGo();
    });
}

void EngineThread::outline(const std::string& document, const std::string& password,
                           Reply<std::vector<OutlineEntry>> reply) {
    on<std::vector<OutlineEntry>>(pages_, std::move(reply),
                                  [document, password](Pages& pages) { return pages.outline(document, password); });
}

void EngineThread::links(const std::string& document, const std::string& password, std::uint32_t page,
                         Reply<std::vector<PageLink>> reply) {
    on<std::vector<PageLink>>(pages_, std::move(reply),
                              [=](Pages& pages) { return pages.links(document, password, page); });
}

void EngineThread::find(const std::string& document, const std::string& password, const std::string& words,
                        Reply<std::vector<Found>> reply) {
    constexpr std::uint32_t kMost = 10'000;
    on<std::vector<Found>>(texts_, std::move(reply), [document, password, words](Pages& pages) {
        return pages.find(document, password, words, kMost);
    });
}

void EngineThread::shutdown() {
    closing_ = true;
    compute_.post([this] { loop_->finish(compute_, kClosing); });
    library_.close();  // before compute: a chat that is forgotten here takes its tails with it there
    finder_.close();
    compute_.close();  // its last events may still write turns: none is heard any more, the controllers saved before
    pages_.close();
    texts_.close();
    intake_.close();
}

}  // namespace carrel::app
