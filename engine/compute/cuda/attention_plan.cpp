#include "compute/cuda/attention_plan.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

namespace carrel::cuda {

namespace {

constexpr std::size_t kRoundBytes = std::size_t{64} << 20;  // of sums that lie apart at a time
constexpr std::size_t kLateBytes = std::size_t{256} << 20;  // the same between the passes There and Late
constexpr std::size_t kTilesPerProcessor = 4;               // so many blocks fill one
constexpr std::size_t kAlign = 16;

template <class T>
std::size_t pack(std::vector<std::byte>& packed, std::span<const T> values) {
    const std::size_t at = (packed.size() + kAlign - 1) / kAlign * kAlign;
    packed.resize(at + values.size_bytes());
    if (!values.empty()) std::memcpy(packed.data() + at, values.data(), values.size_bytes());
    return at;
}
template <class T>
std::size_t pack(std::vector<std::byte>& packed, const std::vector<T>& values) {
    return pack(packed, std::span<const T>(values));
}

template <class T, std::size_t Rank>
ConstRows constRows(View<const T, Rank> x) {
    return {x.data(), x.data() == nullptr ? 0 : x.stride()};
}
template <std::size_t Rank>
Rows rowsOf(View<float, Rank> x) {
    return {x.data(), x.data() == nullptr ? 0 : x.stride()};
}

std::uint32_t segmentsOf(const RunEntry& run) {
    if (run.rest) return 0;
    return run.picks != 0 ? run.picks : (run.tokens + kLeafTokens - 1) / kLeafTokens;
}

}  // namespace

void Attention::planRuns(const AttendArgs& args, bool segments) {
    runs_.clear();
    picks_.clear();
    table_.clear();
    segments_.clear();
    call_.rowMarks = 0;
    for (const auto runs : args.runs) {
        RunsEntry entry{static_cast<std::uint32_t>(runs_.size()), static_cast<std::uint32_t>(runs.size()),
                        static_cast<std::uint32_t>(segments_.size()), 0};
        std::uint32_t mark = 0;
        for (std::uint32_t i = 0; i < entry.runs; ++i) {
            const KvRun& run = runs[i];
            assert(run.tokens <= kGroupTokens);
            const bool rest = run.rest != nullptr;
            const RunEntry& made = runs_.emplace_back(RunEntry{
                run.keys, rest ? static_cast<const void*>(run.rest) : run.values, run.first, run.tokens, run.window,
                static_cast<std::uint32_t>(picks_.size()), static_cast<std::uint32_t>(run.picks.size()), mark, rest});
            // A pick without a window is seen by all, wherever it is.
            if (made.picks != 0 && made.window == KvRun::kNoWindow) runs_.back().first = 0;
            std::uint32_t at = 0;
            for (const KvPick& pick : run.picks) {
                picks_.push_back({reinterpret_cast<const unsigned char*>(pick.rows), pick.grid, pick.leaf, pick.tokens,
                                  static_cast<std::uint16_t>(at)});
                at += static_cast<std::uint32_t>(std::popcount(pick.tokens));
            }
            assert(run.picks.empty() || at == run.tokens);
            const std::uint32_t count = segmentsOf(made);
            for (std::uint32_t s = 0; s < count && segments; ++s)
                segments_.push_back(
                    {run.picks.empty() ? run.first / kLeafTokens + s : run.picks[s].leaf, i, mark + 1 + s});
            mark += 1 + count;
        }
        entry.segments = static_cast<std::uint32_t>(segments_.size()) - entry.firstSegment;
        std::ranges::stable_sort(std::span(segments_).subspan(entry.firstSegment), {}, &SegmentEntry::leaf);
        table_.push_back(entry);
        call_.rowMarks = std::max<std::size_t>(call_.rowMarks, mark);
    }
}

void Attention::planTiles(const AttendArgs& args) {
    const std::size_t tokens = args.position.size(), sequences = args.runs.size() / args.nKvHeads;
    const std::size_t group = args.q.size(1) / args.nKvHeads;
    ends_.assign(sequences + 1, 0);
    for (const std::uint32_t s : args.sequence) {
        assert(s < sequences);
        ++ends_[s + 1];
    }
    const std::size_t most = *std::ranges::max_element(ends_) * group;
    rows_ = tileRows(args.q.size(2), most);
    for (std::size_t s = 0; s < sequences; ++s) ends_[s + 1] += ends_[s];
    order_.resize(tokens);
    std::vector<std::uint32_t> next(ends_);
    for (std::size_t t = 0; t < tokens; ++t) order_[next[args.sequence[t]]++] = static_cast<std::uint32_t>(t);
    tiles_.clear();
    mostRuns_ = 0;
    for (std::size_t s = 0; s < sequences; ++s)
        for (std::uint32_t head = 0; head < args.nKvHeads; ++head) {
            const RunsEntry& runs = table_[s * args.nKvHeads + head];
            const auto pairs = static_cast<std::uint32_t>((ends_[s + 1] - ends_[s]) * group);
            for (std::uint32_t pair = 0; pair < pairs; pair += rows_) {
                Tile tile{runs.firstRun, runs.runs, head, ends_[s], pair, std::min(rows_, pairs - pair), UINT32_MAX, 0};
                for (std::uint32_t p = pair; p < pair + tile.pairs; ++p) {
                    const std::uint32_t position = args.position[order_[ends_[s] + p / group]];
                    tile.oldest = std::min(tile.oldest, position);
                    tile.newest = std::max(tile.newest, position);
                }
                while (tile.runs > 0 && !seesRun(runs_[tile.firstRun + tile.runs - 1], tile.oldest, tile.newest))
                    --tile.runs;
                mostRuns_ = std::max(mostRuns_, tile.runs);
                tiles_.push_back(tile);
            }
        }
    // The longest first, so that the processors end together.
    std::ranges::stable_sort(tiles_, std::greater<>(), &Tile::runs);
}

template <class Takes>
void Attention::addItems(std::uint32_t from, std::uint32_t end, const Takes& takes) {
    for (std::uint32_t i = 0; i < tiles_.size(); ++i) {
        const Tile& tile = tiles_[i];
        for (std::uint32_t run = from; run < std::min(end, tile.runs); ++run)
            if (const RunEntry& entry = runs_[tile.firstRun + run];
                seesRun(entry, tile.oldest, tile.newest) && takes(tile.firstRun + run))
                items_.push_back({i, run, run + 1, run - from});
    }
}

bool Attention::makeRoom(const AttendArgs& args, std::size_t slots, bool totals, cudaStream_t stream) {
    const std::size_t rows = args.q.size(0) * args.q.size(1), each = rows * partialFloats(args.q.size(2));
    call_.partials = static_cast<float*>(partials_.need(slots * each * sizeof(float), stream));
    call_.totals = totals ? static_cast<float*>(totals_.need(each * sizeof(float), stream)) : nullptr;
    call_.marks = nullptr;
    if (args.mass.data() == nullptr || call_.rowMarks == 0)
        return call_.partials != nullptr && (call_.totals != nullptr || !totals);
    call_.marks = static_cast<float*>(marks_.need(rows * call_.rowMarks * sizeof(float), stream));
    return call_.partials != nullptr && (call_.totals != nullptr || !totals) && call_.marks != nullptr;
}

cudaError_t Attention::run(const AttendArgs& args, unsigned processors, Arguments& arguments, cudaStream_t stream) {
    const std::size_t tokens = args.q.size(0), nHeads = args.q.size(1), headDim = args.q.size(2);
    assert(nHeads % args.nKvHeads == 0 && args.position.size() == tokens && args.sequence.size() == tokens);
    assert(args.runs.size() % args.nKvHeads == 0);
    assert((args.begins && args.ends) || args.state.data() != nullptr);
    assert(headDim % 8 == 0 && headDim <= kMostHeadDim);
    if (tokens == 0) return cudaSuccess;
    planRuns(args, args.mass.data() != nullptr);
    planTiles(args);

    const std::size_t slotBytes = tokens * nHeads * partialFloats(headDim) * sizeof(float);
    // Where there is no room for the sums of one pass until the next, all waits for the second.
    const bool apart = args.pass != AttendPass::All && mostRuns_ * slotBytes <= kLateBytes;
    if (args.pass == AttendPass::There && !apart) return cudaSuccess;
    const bool inTurn = !apart && (tiles_.size() >= kTilesPerProcessor * processors || mostRuns_ <= 1);
    const std::uint32_t all = std::max(1u, mostRuns_);
    const auto round = apart    ? all
                       : inTurn ? 1u
                                : static_cast<std::uint32_t>(std::clamp<std::size_t>(kRoundBytes / slotBytes, 1, all));

    items_.clear();
    std::vector<std::size_t> ends;  // of each round's items
    if (inTurn) {
        for (std::uint32_t i = 0; i < tiles_.size(); ++i) items_.push_back({i, 0, tiles_[i].runs, 0});
        ends.push_back(items_.size());
    } else {
        std::vector<char> late;
        for (const auto runs : args.runs)
            for (const KvRun& run : runs) late.push_back(run.late);
        for (std::uint32_t from = 0; from < all; from += round) {
            addItems(from, from + round,
                     [&](std::size_t run) { return !apart || (late[run] != 0) == (args.pass == AttendPass::Late); });
            ends.push_back(items_.size());
        }
    }
    if (!makeRoom(args, round, ends.size() > 1, stream)) return cudaErrorMemoryAllocation;

    packed_.clear();
    const std::size_t runs = pack(packed_, runs_), picks = pack(packed_, picks_), table = pack(packed_, table_),
                      segments = pack(packed_, segments_), tiles = pack(packed_, tiles_), order = pack(packed_, order_),
                      position = pack(packed_, args.position), sequence = pack(packed_, args.sequence),
                      items = pack(packed_, items_);
    const std::byte* const base = arguments.put(std::span<const std::byte>(packed_), stream);
    if (base == nullptr) return cudaSuccess;  // arguments has the error
    const auto at = [base]<class T>(const T*& to, std::size_t offset) {
        to = reinterpret_cast<const T*>(base + offset);
    };
    at(call_.runs, runs), at(call_.picks, picks), at(call_.table, table), at(call_.segments, segments);
    at(call_.tiles, tiles), at(call_.order, order), at(call_.position, position), at(call_.sequence, sequence);
    const AttendItem* firstItem;
    at(firstItem, items);
    call_.q = constRows(args.q);
    call_.weight = constRows(args.weight);
    call_.origin = constRows(args.origin);
    call_.out = rowsOf(args.out);
    call_.logSumExp = rowsOf(args.logSumExp);
    call_.mass = rowsOf(args.mass);
    call_.state = rowsOf(args.state);
    call_.leaves = args.mass.size(2);
    call_.weightLeaves = args.weight.size(2);
    call_.tokens = static_cast<int>(tokens);
    call_.nHeads = static_cast<int>(nHeads);
    call_.nKvHeads = static_cast<int>(args.nKvHeads);
    call_.headDim = static_cast<int>(headDim);
    call_.scale = args.scale;
    call_.begins = args.begins;
    call_.ends = args.ends;

    cudaError_t error = cudaSuccess;
    std::size_t from = 0;
    for (std::size_t i = 0; i < ends.size() && error == cudaSuccess; from = ends[i++]) {
        error = attendItems(call_, rows_, firstItem + from, ends[i] - from, inTurn, stream);
        if (args.pass == AttendPass::There) return error;
        const auto first = static_cast<std::uint32_t>(i) * round;
        if (error == cudaSuccess)
            error = attendFinish(call_, {first, first + round, inTurn, i == 0, i + 1 == ends.size()}, stream);
    }
    return error;
}

}  // namespace carrel::cuda
