#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace carrel {

enum class Judge : std::uint8_t {
    Sketch,  // 2-bit codes of every key
    Means,   // mean keys of leaves
    MinMax,  // bounds per chunk, per KV head
    LeoAm,   // the paper's released way: bounds of 32 tokens, one choice a layer, coarse to fine
    Oracle,  // a measurement: leaves by their true attention, as many tokens as the sketch chooses at the same place
};

/// How reading from disk and computing overlap (the paper's DTP).
enum class Pipeline {
    Off,      // a layer waits for all that it chose
    Overlap,  // it attends meanwhile to what is there
    Ahead,    // and what the next layer may choose is read ahead: measured, that seldom pays
};

/// Which thresholds choose where no share is given.
enum class ReadRule : std::uint8_t {
    ByTier,  // as all rows are in memory or not
    Memory,  // tokens one by one
    Disk,    // tokens inside leaves that are worth a read
};

/// How documents' KV is kept and read. Defaults need no thought; the rest is for scripts and measurements.
struct KvSettings {
    std::uint64_t deviceBytes = 0, hostBytes = 0;  // of one open reading; 0: from the memory that is free
    std::string codec;  // f16, k8v8, k8v6, k8v4; empty: k8v6 where the model's heads allow it
    double keep =
        -1;  // share of the KV that a token may read in a layer, everything counted; 1: all; negative: adaptive
    Judge judge = Judge::Sketch;
    ReadRule rule = ReadRule::ByTier;
    // Parts.
    bool adaptiveChunks = true;           // off: chunks of fixedChunkTokens
    std::uint32_t fixedChunkTokens = 64;  // 16 to 512
    Pipeline pipeline = Pipeline::Overlap;
    bool estimate = true;      // of what is not read, where the model gains by it
    bool profile = true;       // what was measured of the model, where it was
    bool reuse = true;         // of what earlier steps read
    bool hysteresis = true;    // a leaf that was not read lately must be worth more, where leaves come from disk
    bool leaves = false;       // whole leaves are read where single tokens would do
    double threshold = 0;      // share of a head's attention above which a token is read; 0: the default
    double leafThreshold = 0;  // and its leaf, where leaves come from disk; 0: the default
};

/// Where keys and values are.
enum class Tier : std::uint8_t {
    Device,  // as attention reads them
    Host,    // in memory as on disk
    Disk,    // on disk only
    Unused,  // on disk, and nothing asks for them: past the window of a local layer
};

struct TierUsage {
    std::uint64_t budgetBytes = 0, peakBytes = 0, usedBytes = 0, bytesRead = 0, hits = 0, misses = 0;
    double stallS = 0;
    std::uint64_t leaves = 0;  // that it holds, of all layers and KV heads; disk: all there are
};

/// What answering (or a measurement) read, and from where.
struct TierReport {
    TierUsage device, host, disk;
    std::uint64_t steps = 0;     // tokens decoded
    double tokensReadShare = 1;  // of the tokens there were, over KV heads and layers that see all of them
    double estimatedMass = 0;    // share of attention that estimates of the unread had
    double judgingShare = 0;     // of decode time
    bool resident = true;        // all KV that attention may ask for was in the device tier
    std::string codec;
    // The rule in force: fixed when the reading was opened.
    std::string profile;    // of the model: measured, none, off, or why there is one that is ignored
    bool estimate = false;  // the unread counts by its leaves' mean values
};

constexpr std::uint32_t kViewTokens = 16;  // of a leaf

/// A leaf of one layer and KV head: what is judged, moved and counted.
struct LeafPlace {
    // Reads of it, by where they found it, since the report's counters began. Over all leaves they come to
    // device.hits, host.hits and host.misses.
    std::array<std::uint32_t, 3> reads{};
    std::uint16_t use = 0;     // recent choices per step, in 1/65536
    Tier tier = Tier::Disk;    // the nearest that has it
    bool inHost = false;       // host has it, whether device has it too or not
    bool startsChunk = false;  // a chunk, which moves as one, begins here
};
struct LeafRow {
    std::uint32_t layer = 0, head = 0;
    std::vector<LeafPlace> leaves;  // from token 0 on
};

/// An open reading's tiers at one moment.
struct TierView {
    TierReport report;
    std::uint64_t counting = 0;             // another number: counters began anew
    std::vector<LeafRow> rows;              // by layer, then head
    std::uint32_t totalTokens = 0;          // of the whole reading; rows hold the whole groups of what is read
    std::vector<std::uint32_t> pageStarts;  // first token of each page; none without pages
};

}  // namespace carrel
