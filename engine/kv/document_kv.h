#pragma once

#include <carrel/result.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "kv/tier.h"
#include "store/reading_store.h"

namespace carrel {

/// Encoded groups side by side, in memory: parts [layers, kvHeads, groups, bytes of kv_layout.h]. What a pass encodes
/// into, a commit writes, and append() takes over.
class KvGroups {
  public:
    static Result<KvGroups> make(Backend& backend, KvShape shape, KvCodec codec, std::uint32_t firstGroup,
                                 std::uint32_t groups);  // NoMemory
    std::uint32_t firstGroup() const { return firstGroup_; }
    std::uint32_t groups() const { return groups_; }
    std::byte* payload(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const;  // group counts from 0 here
    std::byte* codes(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const;
    std::byte* means(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const;
    std::span<std::byte> payload() const { return {payload_.as<std::byte>(), payload_.bytes()}; }
    std::span<std::byte> codes() const { return {codes_.as<std::byte>(), codes_.bytes()}; }
    std::span<std::byte> means() const { return {means_.as<std::byte>(), means_.bytes()}; }

  private:
    KvGroups() = default;
    std::size_t at(std::uint32_t layer, std::uint32_t head, std::uint32_t group) const {
        return (std::size_t{layer} * shape_.kvHeads + head) * groups_ + group;
    }
    KvShape shape_;
    KvCodec codec_ = KvCodec::F16;
    std::uint32_t firstGroup_ = 0, groups_ = 0;
    Buffer payload_, codes_, means_;
};

/// What a decode step reads of one layer: pinned, so that it stays where it is. Move-only; gone before the next pin.
class [[nodiscard]] KvPins {
  public:
    /// The leaf's rows (Backend::unpack's layout), or null where it was not asked for.
    const std::byte* rows(std::uint32_t head, std::uint32_t leaf) const;
    /// Rows that are still to be read: of this leaf, of any.
    bool late(std::uint32_t head, std::uint32_t leaf) const;
    bool late() const;
    /// Waits for what is late. Corrupt: nothing more may be asked of these pins.
    Status complete();
    KvPins(KvPins&& other) noexcept;
    KvPins& operator=(KvPins&&) = delete;
    ~KvPins();

  private:
    friend class DocumentKv;
    KvPins(class DocumentKv& owner, std::uint32_t layer) : owner_(&owner), layer_(layer) {}
    class DocumentKv* owner_;
    std::uint32_t layer_;
};

/// Attention over windows that end at a multiple of so many groups gives the bits of one call (AttendArgs).
inline constexpr std::uint32_t kWindowStep = 16;

/// Layers in which a token sees the last `window` tokens alone, itself included.
struct LocalLayers {
    std::uint32_t window = 0;
    std::vector<bool> which;  // [layers]; empty: none

    bool has(std::uint32_t layer) const { return !which.empty() && which[layer]; }
    /// Some but not all.
    bool some() const {
        return std::ranges::find(which, true) != which.end() && std::ranges::find(which, false) != which.end();
    }
    /// Of the tokens before `position`, the first group that it sees.
    std::uint32_t firstGroup(std::uint32_t position) const {
        return position < window ? 0 : (position + 1 - window) / kGroupTokens;
    }
};

/// A document's whole groups on three tiers. Sketch: resident. Device: leaves as attention reads them, chosen by use.
/// Host: groups as on disk. Disk: everything. Decided from sizes when it opens: `resident()` when all rows fit the
/// device tier; then nothing is read from disk after opening. What is chosen never depends on what happens to be where.
/// One thread. Corrupt from any call: KV of the group named in the error's detail is bad; the stream is to be truncated
/// at soundTokens() and the document opened again.
class DocumentKv {
  public:
    /// capacityTokens: what the document can grow to; budgets are checked against it. NoMemory: with the smallest
    /// workable budget in the detail. Loads the sketch (one sequential read), and all rows where they fit.
    /// tokens() is less than the stream's whole groups where loading found damage. stream: may be empty of tokens;
    /// outlives this. Of local layers, where others are not, the device tier has what tokens behind the document see
    /// and nothing else is loaded: they have no sketch, and of calls for a layer window() alone, within those groups.
    static Result<std::unique_ptr<DocumentKv>> open(Backend& backend, KvStream& stream, KvShape shape, KvCodec codec,
                                                    std::uint32_t capacityTokens, const TierOptions& options,
                                                    const LocalLayers& local = {});
    virtual ~DocumentKv() = default;

    virtual KvShape shape() const = 0;
    virtual KvCodec codec() const = 0;
    virtual std::uint32_t tokens() const = 0;  // whole groups
    virtual bool resident() const = 0;
    virtual bool hasMeans() const = 0;  // resident: the unread can be estimated
    /// tokens(), or, after Corrupt, the first token of the earliest group found bad: where to truncate the stream
    /// before opening it again.
    virtual std::uint32_t soundTokens() const = 0;

    /// After the batch was committed; takes over its parts. groups.firstGroup() is tokens() / 64. NoMemory past the
    /// capacity.
    virtual Status append(KvGroups groups) = 0;

    /// [kvHeads]; valid until append().
    virtual std::span<const SketchView> sketch(std::uint32_t layer) const = 0;
    /// f16 [chunks][2][headDim] per KV head (JudgeArgs::bounds), where options.boundsTokens asked for them.
    virtual std::span<const std::uint16_t* const> bounds(std::uint32_t layer) const = 0;

    /// Leaves that one pin() can hold; at least 1,024, or a layer's of one KV head.
    virtual std::uint64_t pinLeaves() const = 0;
    /// Most groups of one window(); a multiple of kWindowStep.
    virtual std::uint32_t windowGroups() const = 0;
    /// Full attention: runs [kvHeads] over groups [first, first + count) of a layer, valid until the next call for
    /// another window, append() or pin(). Windows of a layer are asked for in ascending order, each as large as the
    /// first up to the last whole step, then what is left of a step; the next two are read meanwhile. Codec f16 gives f16 runs, and these are all it has: nothing to pin.
    virtual Result<std::span<const std::vector<KvRun>>> window(std::uint32_t layer, std::uint32_t first,
                                                               std::uint32_t count) = 0;

    /// chosen [nTokens, kvHeads, nLeaves] as from judge(). Gives all of it a place in the device tier and starts
    /// reading what is not there; records its use. With options.pipeline, what must come from disk may be late.
    virtual Result<KvPins> claim(std::uint32_t layer, View<const std::uint16_t, 3> chosen) = 0;
    /// The same with nothing late.
    Result<KvPins> pin(std::uint32_t layer, View<const std::uint16_t, 3> chosen);
    /// A guess for a layer to come, at any time: read ahead, never waited for, and evicted first.
    virtual void prefetch(std::uint32_t layer, View<const std::uint16_t, 3> chosen) = 0;

    virtual TierCounters counters() const = 0;
    virtual void resetCounters() = 0;
    /// Where everything is now, and what was read of it since resetCounters().
    virtual std::vector<LeafRow> places() const = 0;

  protected:
    KvPins pinned(std::uint32_t layer) { return {*this, layer}; }

  private:
    friend class KvPins;
    virtual const std::byte* rows(std::uint32_t layer, std::uint32_t head, std::uint32_t leaf) const = 0;
    virtual bool late(std::uint32_t /*head*/, std::uint32_t /*leaf*/) const { return false; }
    virtual bool late() const { return false; }
    virtual Status complete(std::uint32_t /*layer*/) { return {}; }
    virtual void unpin(std::uint32_t layer) = 0;
};

}  // namespace carrel
