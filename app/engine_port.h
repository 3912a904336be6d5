#pragma once

#include <carrel/compute.h>
#include <carrel/library.h>
#include <carrel/models.h>
#include <carrel/pages.h>

#include <QObject>
#include <QString>

#include <functional>
#include <optional>
#include <string>

namespace carrel::app {

/// Called once, on the GUI thread; never after the port's shutdown().
template <class T>
using Reply = std::function<void(const Result<T>&)>;

constexpr std::uint32_t kMostHits = 60;  // of a search in all documents

/// Models on this computer, best first, and what the computer can do with them.
struct FoundModels {
    Machine machine;
    std::vector<FoundModel> models;
};

/// Where the engine keeps one question of a list, next to its chat's own tail.
inline std::string listTail(const std::string& chat, std::int64_t turn) {
    return chat + '#' + std::to_string(turn);
}

/// What controllers need of the engine: values in, values out. Called on the GUI thread, returns at once, answers later
/// on the GUI thread. EngineThread implements it over the three doors; ScriptedEngine (tests/support) without an
/// engine. Requests to one door are answered in order. Stop tokens need no event: the GUI keeps their source.
class EnginePort : public QObject {
    Q_OBJECT

  public:
    using QObject::QObject;

    /// A new name for a reading or a turn; never 0.
    quint64 nextTicket() { return ++lastTicket_; }

    // Compute. loadModel waits for readings and turns under way: ask them to stop first.
    virtual void inspectModel(const std::filesystem::path& file, Reply<ModelInfo> reply) = 0;
    virtual void loadModel(const std::filesystem::path& file, Reply<ModelInfo> reply) = 0;
    virtual void useThreads(unsigned threads) = 0;       // from the next loadModel on; 0: one per core
    virtual void processor(Reply<Processor> reply) = 0;  // behind a loadModel that was asked for before
    /// Takes seconds where there is much to look through; keeps nothing else waiting. known: as an earlier reply had
    /// it, so that this machine is not measured again.
    virtual void findModels(std::vector<ModelPlace> places, const Machine& known, std::stop_token stop,
                            Reply<FoundModels> reply) = 0;
    virtual void read(ReadRequest request) = 0;  // ends with readingEnded
    virtual void ask(TurnRequest request) = 0;   // ends with answered or turnFailed
    virtual void readingOf(const std::string& document, Reply<ReadingSummary> reply) = 0;
    virtual void storedReadings(Reply<std::vector<StoredReading>> reply) = 0;  // of all documents
    virtual void forecast(const std::string& document, const std::string& password, Reply<ReadingForecast> reply) = 0;
    virtual void forgetReadings(const std::string& document, Reply<void> reply) = 0;
    virtual void diskUse(Reply<DiskUse> reply) = 0;
    virtual void setQuota(std::uint64_t bytes, Reply<DiskUse> reply) = 0;  // 0: automatic
    virtual void forgetTail(const std::string& tail) = 0;                  // of a question that has ended
    virtual void tiers(const std::string& document, Reply<std::optional<TierView>> reply) = 0;
    virtual void placeOf(const std::string& document, std::uint32_t token, std::uint32_t count,
                         Reply<Source> reply) = 0;
    virtual void setMemory(std::uint64_t deviceBytes, std::uint64_t hostBytes) = 0;

    // Library. progress is called on the GUI thread: pages done, pages in all.
    virtual void add(const std::filesystem::path& file, const std::string& password,
                     std::function<void(std::uint32_t, std::uint32_t)> progress, std::stop_token stop,
                     Reply<DocumentRow> reply) = 0;
    virtual void documents(Reply<std::vector<DocumentRow>> reply) = 0;
    virtual void opened(const std::string& document, Reply<void> reply) = 0;
    virtual void forget(const std::string& document, Reply<void> reply) = 0;
    virtual void findAll(const std::string& words, Reply<std::vector<Hit>> reply) = 0;  // in all documents, as typed
    virtual void newChat(const std::string& document, Reply<ChatRow> reply) = 0;
    virtual void chats(const std::string& document, Reply<std::vector<ChatRow>> reply) = 0;
    virtual void saveDraft(const std::string& chat, const std::string& text, Reply<void> reply) = 0;
    virtual void forgetChat(const std::string& chat, Reply<void> reply) = 0;  // and its tails
    virtual void startTurn(const std::string& chat, const std::string& question, Reply<std::int64_t> reply) = 0;
    virtual void saveTurn(const TurnRow& turn, Reply<void> reply) = 0;
    virtual void turns(const std::string& chat, Reply<std::vector<TurnRow>> reply) = 0;

    // Pages. wanted is asked on the pages thread before the drawing begins: false skips it (Cancelled).
    virtual void pageSizes(const std::string& document, const std::string& password,
                           Reply<std::vector<PageSize>> reply) = 0;
    virtual void render(const std::string& document, const std::string& password, std::uint32_t page,
                        std::uint32_t widthPx, std::function<bool()> wanted, Reply<PageImage> reply) = 0;
    virtual void outline(const std::string& document, const std::string& password,
                         Reply<std::vector<OutlineEntry>> reply) = 0;
    virtual void links(const std::string& document, const std::string& password, std::uint32_t page,
                       Reply<std::vector<PageLink>> reply) = 0;
    // Text: never behind a page that is being drawn.
    virtual void text(const std::string& document, Reply<std::string> reply) = 0;
    virtual void words(const std::string& document, const std::string& password, std::uint32_t page,
                       Reply<PageWords> reply) = 0;
    virtual void find(const std::string& document, const std::string& password, const std::string& words,
                      Reply<std::vector<Found>> reply) = 0;
    virtual void prepareText(const std::string& document, const std::string& password) = 0;  // for words and find
    virtual void letGoOfText() = 0;  // that words and find keep in memory

    /// Finishes what was asked of the library, stops the rest, joins every thread. No reply or signal comes afterwards.
    virtual void shutdown() = 0;

  signals:
    void readingProgress(quint64 ticket, const carrel::ReadingProgress& progress);
    void readingEnded(quint64 ticket, const carrel::Result<carrel::ReadingSummary>& summary);  // Cancelled: paused
    void readingEvicted(const QString& document, quint64 bytes);  // to make room for another
    void turnStage(quint64 ticket, carrel::TurnStage stage);
    void questionProgress(quint64 ticket, quint32 done, quint32 total);  // tokens; at most 30 a second
    void turnText(quint64 ticket, const QString& text);                  // to append; at most 30 a second
    void answered(quint64 ticket, const carrel::Answer& answer);         // exactly one of these two
    void turnFailed(quint64 ticket, const carrel::Error& error);         // ends every turn

  private:
    quint64 lastTicket_ = 0;
};

}  // namespace carrel::app
