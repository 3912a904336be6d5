#pragma once

#include "engine_port.h"
#include "lane.h"
#include "text_mailbox.h"

#include <atomic>
#include <variant>

namespace carrel::app {

class ComputeLoop;

/// The engine behind the window: Compute, Library and Pages, each on a thread of its own, and two second doors: of
/// Library for taking in documents, so that a draft is saved while a long file is being added, and of Pages for their
/// text, so that words are found while a slow page is drawn.
class EngineThread final : public EnginePort {
    Q_OBJECT

  public:
    explicit EngineThread(const ComputeOptions& options, QObject* parent = nullptr);
    ~EngineThread() override;

    void inspectModel(const std::filesystem::path& file, Reply<ModelInfo> reply) override;
    void loadModel(const std::filesystem::path& file, Reply<ModelInfo> reply) override;
    void useThreads(unsigned threads) override;
    void processor(Reply<Processor> reply) override;
    void findModels(std::vector<ModelPlace> places, const Machine& known, std::stop_token stop,
                    Reply<FoundModels> reply) override;
    void read(ReadRequest request) override;
    void ask(TurnRequest request) override;
    void readingOf(const std::string& document, Reply<ReadingSummary> reply) override;
    void storedReadings(Reply<std::vector<StoredReading>> reply) override;
    void forecast(const std::string& document, const std::string& password, Reply<ReadingForecast> reply) override;
    void forgetReadings(const std::string& document, Reply<void> reply) override;
    void diskUse(Reply<DiskUse> reply) override;
    void setQuota(std::uint64_t bytes, Reply<DiskUse> reply) override;
    void forgetTail(const std::string& tail) override;
    void tiers(const std::string& document, Reply<std::optional<TierView>> reply) override;
    void placeOf(const std::string& document, std::uint32_t token, std::uint32_t count, Reply<Source> reply) override;
    void setMemory(std::uint64_t deviceBytes, std::uint64_t hostBytes) override;

    void add(const std::filesystem::path& file, const std::string& password,
             std::function<void(std::uint32_t, std::uint32_t)> progress, std::stop_token stop,
             Reply<DocumentRow> reply) override;
    void documents(Reply<std::vector<DocumentRow>> reply) override;
    void opened(const std::string& document, Reply<void> reply) override;
    void forget(const std::string& document, Reply<void> reply) override;
    void findAll(const std::string& words, Reply<std::vector<Hit>> reply) override;
    void newChat(const std::string& document, Reply<ChatRow> reply) override;
    void chats(const std::string& document, Reply<std::vector<ChatRow>> reply) override;
    void saveDraft(const std::string& chat, const std::string& text, Reply<void> reply) override;
    void forgetChat(const std::string& chat, Reply<void> reply) override;
    void startTurn(const std::string& chat, const std::string& question, Reply<std::int64_t> reply) override;
    void saveTurn(const TurnRow& turn, Reply<void> reply) override;
    void turns(const std::string& chat, Reply<std::vector<TurnRow>> reply) override;

    void pageSizes(const std::string& document, const std::string& password,
                   Reply<std::vector<PageSize>> reply) override;
    void render(const std::string& document, const std::string& password, std::uint32_t page, std::uint32_t widthPx,
                std::function<bool()> wanted, Reply<PageImage> reply) override;
    void outline(const std::string& document, const std::string& password,
                 Reply<std::vector<OutlineEntry>> reply) override;
    void links(const std::string& document, const std::string& password, std::uint32_t page,
               Reply<std::vector<PageLink>> reply) override;
    void text(const std::string& document, Reply<std::string> reply) override;
    void words(const std::string& document, const std::string& password, std::uint32_t page,
               Reply<PageWords> reply) override;
    void find(const std::string& document, const std::string& password, const std::string& words,
              Reply<std::vector<Found>> reply) override;
    void prepareText(const std::string& document, const std::string& password) override;
    void letGoOfText() override;

    void shutdown() override;

  private:
    /// Runs work on the lane with its door, or answers with why it could not be opened.
    template <class T, class Door, class Work>
    void on(Lane<Door>& lane, Reply<T> reply, Work work);
    template <class T>
    void deliver(const Reply<T>& reply, const Result<T>& result);

    TextMailbox mailbox_;
    std::atomic<bool> closing_ = false;
    std::unique_ptr<ComputeLoop> loop_;  // lives on the compute lane; outlives it
    Lane<Library> library_, intake_;
    Lane<Pages> pages_, texts_;
    Lane<std::monostate> finder_;                 // looking for models needs no door
    std::atomic<unsigned> threads_ = 0;           // of the model
    std::atomic<std::uint64_t> loadedBytes_ = 0;  // of the model in memory
    Lane<Compute> compute_;
};

}  // namespace carrel::app
