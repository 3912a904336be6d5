#pragma once

#include <carrel/cuda.h>
#include <carrel/events.h>
#include <carrel/models.h>
#include <carrel/tiers.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace carrel {

/// What readings may take of the disk.
struct DiskLimits {
    std::uint64_t quotaBytes = 0;  // of all readings together; 0: the smaller of 50 GB and a fifth of free space
    std::uint64_t leaveFreeBytes = 2'000'000'000;  // of the disk, whatever the quota says
};

/// What they take.
struct DiskUse {
    std::uint64_t quotaBytes = 0;  // in force
    std::uint64_t usedBytes = 0, freeBytes = 0;
};

struct ComputeOptions {
    std::filesystem::path dataDir;    // the data root; made when missing
    std::filesystem::path pdfHelper;  // carrel-pdf
    unsigned threads = 0;             // 0: one per core
    std::string isa;                  // scalar, avx2, avx512; empty: the best this machine has (CARREL_ISA overrides)
    KvSettings kv;
    DiskLimits disk;
    BackendChoice backend = BackendChoice::Auto;  // Auto with an ISA: the processor
    std::filesystem::path cudaPlugin;             // cudaPluginFor() (CARREL_CUDA_PLUGIN overrides); empty: none
};

struct ReadRequest {
    std::uint64_t ticket = 0;
    std::string document;     // SHA-256 of a document in the library
    std::string password;     // for encrypted documents; never stored
    std::stop_token stop;     // pauses: all whole batches stay read
    ReadingSpeed speed = {};  // of earlier readings by this model on this machine
};

/// What reading a document comes to.
struct ReadingForecast {
    std::uint64_t tokens = 0, tokensTotal = 0;  // that the window has room for; of the document
    std::uint64_t diskBytes = 0;                // when all is read and nothing could be compressed
    // Of memory while it is open, at most: rows ready for attention, and the rest.
    std::uint64_t deviceBytes = 0, hostBytes = 0;
    // What is to go from the disk to make room: documents whose readings do. Where that is not enough nothing goes, and
    // reading ends with DiskFull.
    std::vector<std::string> evicted;
    bool fits = true;
};

/// A reading on disk.
struct StoredReading {
    std::string document;      // SHA-256, hex
    std::string model;         // fingerprint
    bool loadedModel = false;  // it is the loaded model's
    std::uint32_t tokens = 0;  // with the prompt's opening
    std::uint64_t diskBytes = 0;
    Coverage coverage;        // totals are 0 where that is not known
    bool complete = false;    // all that fits the model's window is read
    std::int64_t usedAt = 0;  // read or asked last; seconds since 1970
};

/// What verify() found.
struct StoredCheck {
    std::uint64_t groups = 0, bad = 0;
    bool probeOk = false;  // the last token's logits are those that were stored when it was read
};

struct PastTurn {
    std::string question, answer;
};

struct TurnRequest {
    std::uint64_t ticket = 0;
    std::string document;
    std::string password;
    std::string chat;               // names the tail that holds this chat's KV
    std::vector<PastTurn> history;  // oldest first
    std::string question;
    std::uint32_t maxTokens = 512;  // of the answer
    std::stop_token stop;           // ends the answer; its text up to there counts
};

/// Models, readings and turns: the only door that touches weights and KV. Not thread-safe: one thread calls everything,
/// and only that thread hears events. A request is queued at once; step() does the work, one quantum (about 20 ms) a
/// call. A turn goes ahead of a reading as soon as the layer at hand is done; the reading goes on where it was.
/// Questions to one document that wait together are answered together: weights are read once a step for all.
class Compute {
  public:
    static Result<std::unique_ptr<Compute>> open(const ComputeOptions& options, EventSink& events);
    virtual ~Compute() = default;

    /// Loads weights (seconds). Replaces the loaded model; readings and turns that are under way must have ended.
    virtual Result<ModelInfo> loadModel(const std::filesystem::path& file) = 0;
    /// Who computes. Chosen by the first loadModel, or else here, which takes up to a second or two where a GPU's
    /// driver starts.
    virtual Result<Processor> processor() = 0;
    /// From the next loadModel on; 0: one per core. Answers are the same with any number.
    virtual void useThreads(unsigned threads) = 0;

    /// Ends with readingEnded. Readings that nobody used for a day are evicted for it where it needs the room;
    /// DiskFull: that would not be enough, and nothing is read.
    virtual void read(ReadRequest request) = 0;
    virtual void ask(TurnRequest request) = 0;  // ends with answered or turnFailed; uses what is read so far
    /// One quantum. False: nothing left to do.
    virtual bool step() = 0;

    /// How far this document is read under the loaded model, without opening it: coverage's totals are 0 where that is
    /// not known. Cheap.
    virtual Result<ReadingSummary> readingOf(const std::string& document) = 0;
    /// What reading it comes to under the loaded model. Opens and writes nothing; takes as long as making tokens of its
    /// text, or nothing where it is open. NeedsPassword, WrongPassword, and what reading its file can fail with.
    virtual Result<ReadingForecast> forecast(const std::string& document, const std::string& password) = 0;
    /// What is on disk for this document (empty: for all), of every model. Needs no model. Cheap.
    virtual Result<std::vector<StoredReading>> storedReadings(const std::string& document) = 0;
    /// Where an open reading's KV is and what answering read; nothing where it is not open. Some 10 ns a leaf: cheap
    /// enough for 30 calls a second.
    virtual std::optional<TierView> tiers(const std::string& document) = 0;
    virtual Result<DiskUse> diskUse() = 0;
    /// What was chosen, 0: nothing. Readings that are over it then are evicted, as for a reading.
    virtual Result<DiskUse> setQuota(std::uint64_t bytes) = 0;
    /// What stands at tokens of an open reading: page, words and boxes of its Source; share is 0. NotFound: it is not
    /// open, or no word of the document stands there.
    virtual Result<Source> placeOf(const std::string& document, std::uint32_t token, std::uint32_t count) = 0;
    /// Budgets (KvSettings) of readings opened from now on. Open ones that are neither read nor asked at the moment are
    /// closed, so that the next question opens them anew.
    virtual void setMemory(std::uint64_t deviceBytes, std::uint64_t hostBytes) = 0;
    /// Checks every checksum of what is stored under the loaded model. What is bad is dropped, and read again by the
    /// next read() or ask().
    virtual Result<StoredCheck> verify(const std::string& document) = 0;
    /// Deletes the readings of a document, of every model: rows first, then files.
    virtual Status forgetReadings(const std::string& document) = 0;
    /// Deletes what is kept of a chat's tokens. The chat itself is the library's to forget.
    virtual Status forgetChat(const std::string& chat) = 0;
};

}  // namespace carrel
