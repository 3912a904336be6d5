#pragma once

#include "app/engine_port.h"

#include <QTimer>

#include <map>
#include <vector>

namespace carrel::app {

/// An engine port without an engine. By hand (tests): requests are written down and the test says what comes of them.
/// By itself (carrel-offline): documents are "read" and questions answered at the pace of a small PC.
class ScriptedEngine final : public EnginePort {
    Q_OBJECT

  public:
    enum class Pace { ByHand, ByItself };
    explicit ScriptedEngine(Pace pace = Pace::ByHand, QObject* parent = nullptr);

    // What it was asked and told, in order.
    std::vector<ReadRequest> reads;
    std::vector<TurnRequest> asks;
    std::vector<TurnRow> savedTurns;
    std::vector<std::pair<std::string, std::string>> drafts;  // chat, text
    std::vector<std::string> forgottenReadings, forgottenTails;
    std::vector<std::string> tierPolls;  // documents
    std::vector<std::string> loadedModels, preparedTexts;
    std::vector<unsigned> threads;                                     // as useThreads had them
    std::vector<std::vector<ModelPlace>> searches;                     // places
    std::vector<Machine> knownMachines;                                // as searches had them
    std::vector<std::pair<std::uint32_t, std::uint32_t>> placesAsked;  // token, count
    std::vector<std::pair<std::uint64_t, std::uint64_t>> memories;     // device, host
    std::vector<std::pair<std::uint32_t, std::uint32_t>> rendered;     // page and width, as they were drawn
    bool shutDown = false;

    // What it holds and says.
    std::vector<DocumentRow> rows;
    std::map<std::string, std::vector<ChatRow>> chatRows;  // by document
    std::map<std::string, std::vector<TurnRow>> turnRows;  // by chat
    std::map<std::string, ReadingSummary> summaries;       // by document: what is on disk
    std::vector<StoredReading> stored;
    std::vector<Hit> hits;         // of a search for words with "word" in them
    std::uint64_t quotaBytes = 0;  // as it was set
    ReadingForecast forecasted{16'800, 16'800, 160u << 20, 96u << 20, 40u << 20, {}, true};  // of every document
    std::map<std::string, Error> failures;  // by the port's function name: every call fails
    std::string password = "secret";        // of documents with "enc" in their file's name
    std::string script = "The answer.";
    std::string chatTemplate = "chatml";  // of every model
    FoundModels models;                   // on this computer
    Processor computes{"cpu avx512, 2 threads", {}, "Carrel was built or installed without its CUDA part.", {}};
    bool holdModels = false;  // replies wait in heldModels
    std::vector<Reply<FoundModels>> heldModels;
    std::vector<Source> sources;
    std::vector<OutlineEntry> outlineEntries;                  // of every document
    std::map<std::uint32_t, std::vector<PageLink>> pageLinks;  // by page, of every document
    std::optional<TierView> tierView;                          // by itself: made up from what was asked
    bool holdTiers = false;                                    // replies wait in heldTiers
    std::vector<Reply<std::optional<TierView>>> heldTiers;

    /// A document as it would be after add(): 42 pages for .pdf, text without pages otherwise.
    static DocumentRow document(const std::string& file);
    static FoundModel model(const std::string& file, Fit fit, double tokensPerSecond = 30);
    void endReading(std::size_t which, const Result<ReadingSummary>& result);
    static ReadingSummary summary(const std::string& document, std::uint32_t pagesRead, std::uint32_t pagesTotal);

    void inspectModel(const std::filesystem::path& file, Reply<ModelInfo> reply) override;
    void loadModel(const std::filesystem::path& file, Reply<ModelInfo> reply) override;
    void useThreads(unsigned number) override { threads.push_back(number); }
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
    void forgetTail(const std::string& tail) override { forgottenTails.push_back(tail); }
    void tiers(const std::string& document, Reply<std::optional<TierView>> reply) override;
    void placeOf(const std::string& document, std::uint32_t token, std::uint32_t count, Reply<Source> reply) override;
    void setMemory(std::uint64_t deviceBytes, std::uint64_t hostBytes) override {
        memories.emplace_back(deviceBytes, hostBytes);
    }
    /// A model of 24 layers and 2 KV heads after `steps` tokens of an answer: later layers and the document's ends are
    /// read more. Every total is a counter's.
    static TierView madeUpTiers(std::uint32_t tokens, std::uint32_t totalTokens, std::uint64_t steps);
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
              Reply<std::vector<Found>> reply) override;  // "word": once on pages 2, 3 and 9; else nothing
    void prepareText(const std::string& document, const std::string&) override { preparedTexts.push_back(document); }
    void letGoOfText() override {}
    void shutdown() override;

  private:
    struct Turn {
        TurnRequest request;
        std::size_t written = 0;  // bytes of the script
        int ticks = 0;
    };
    struct Reading {
        ReadRequest request;
        double pages = 0;
    };
    template <class T>
    void deliver(const char* call, const Reply<T>& reply, std::function<Result<T>()> value);
    void tick();
    bool stepTurn(Turn& turn);  // false: it has ended
    bool stepReading(Reading& reading);
    Answer answerOf(const Turn& turn, bool stopped) const;

    QTimer clock_;
    std::vector<Turn> turns_;
    std::vector<Reading> readings_;
    std::map<std::string, double> pagesRead_;  // by document
    std::int64_t lastId_ = 0;
    std::uint64_t steps_ = 0;
};

}  // namespace carrel::app
