#include "compute/cuda/judge_plan.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "compute/layer_choice.h"

namespace carrel::cuda {

namespace {

constexpr float kLog2PerNat = 1.44269504f;
constexpr std::size_t kScratchBytes = std::size_t{256} << 20;  // of several tokens together
constexpr std::size_t kMostRows = 65535;                       // a grid's second dimension

// What the kernels know of the call, without memory.
Judging judging(const JudgeArgs& args) {
    const SelectRule& rule = args.rule;
    Judging j{};
    j.q = args.q.data();
    j.qStride = args.q.stride();
    j.exact = args.exact.data();
    j.exactStride = args.exact.stride();
    j.tokens = static_cast<int>(args.q.size(0));
    j.kvHeads = static_cast<int>(args.chosen.size(1));
    j.group = static_cast<int>(args.q.size(1) / args.chosen.size(1));
    j.headDim = static_cast<int>(args.q.size(2));
    j.leaves = static_cast<int>(args.chosen.size(2));
    j.scale = args.scale * kLog2PerNat;
    j.tokenShare = rule.tokenShare;
    j.leafShare = rule.leafShare;
    j.newLeafShare = rule.newLeafShare;
    j.wholeLeaves = rule.wholeLeaves;
    j.chosen = args.chosen.data();
    j.chosenStride = args.chosen.stride();
    j.share = args.share.data();
    j.shareStride = args.share.stride();
    j.rest = args.rest.data();
    j.restStride = args.rest.stride();
    j.origin = args.origin.data();
    j.originStride = args.origin.stride();
    if (args.first >= args.end) return j;  // nothing judged: zeros

    const auto leaf = static_cast<int>(kGroupLeaves);
    j.first = static_cast<int>(args.first);
    j.end = static_cast<int>(args.end);
    j.firstGroup = j.first / leaf;
    j.groups = (j.end + leaf - 1) / leaf - j.firstGroup;
    const bool bounds = rule.scorer == Scorer::MinMax;
    j.unitLeaves = bounds ? static_cast<int>(rule.chunkTokens / kLeafTokens) : 1;
    j.firstUnit = bounds ? j.first / j.unitLeaves : j.firstGroup * leaf;
    j.parts = bounds ? ((j.end - 1) / j.unitLeaves - j.firstUnit) / 4 + 1 : j.groups;
    const auto judged = args.end - args.first;
    if (rule.layerChoice || rule.cap >= judged * kLeafTokens) return j;
    j.cap = rule.cap;
    j.cutLeaves = bounds ? j.unitLeaves : rule.scorer == Scorer::Means || rule.wholeLeaves ? 1 : 0;
    const int leaves = std::max(1, j.cutLeaves);
    j.keep = rule.cap / (j.cutLeaves > 0 ? static_cast<unsigned>(leaves) * kLeafTokens : 1);
    const auto units = static_cast<std::size_t>((j.end - 1) / leaves - j.first / leaves + 1);
    j.items = j.cutLeaves > 0 ? (units + 3) / 4 * 4 : judged * kLeafTokens;
    return j;
}

/// Carves arrays out of one piece; null first, to measure.
class Pieces {
  public:
    explicit Pieces(void* memory = nullptr) : memory_(static_cast<std::byte*>(memory)) {}
    template <class T>
    T* take(std::size_t count) {
        const std::size_t at = used_;
        used_ += (count * sizeof(T) + 255) / 256 * 256;
        return memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + at);
    }
    std::size_t used() const { return used_; }

  private:
    std::byte* memory_;
    std::size_t used_ = 0;
};
void carve(Pieces& pieces, Judging& j) {
    const std::size_t choices = static_cast<std::size_t>(j.tokens) * j.kvHeads, rows = choices * j.group;
    j.scores = pieces.take<short>(rows * j.groups * kGroupTokens);
    j.sums = pieces.take<float>(rows * j.parts);
    j.whole = pieces.take<float>(rows);
    j.limits = pieces.take<short>(2 * rows);
    j.counts = pieces.take<unsigned>(choices);
    j.weights = pieces.take<float>(choices * j.items);
}

/// What kernels are handed of the host's memory, in one piece: a second put might wait, and take the first one's place.
struct Tables {
    std::vector<std::byte> bytes;

    template <class T>
    std::size_t add(std::span<const T> values) {
        const std::size_t at = (bytes.size() + 15) / 16 * 16;
        bytes.resize(at + values.size_bytes());
        if (!values.empty()) std::memcpy(bytes.data() + at, values.data(), values.size_bytes());
        return at;
    }
};
bool putTables(const JudgeArgs& args, std::span<const std::uint16_t> layerChosen, Arguments& arguments,
               cudaStream_t stream, Judging& j) {
    Tables tables;
    std::vector<JudgedHead> heads;
    for (std::size_t i = 0; i < args.sketch.size(); ++i)
        heads.push_back({reinterpret_cast<const unsigned char*>(args.sketch[i].codes),
                         reinterpret_cast<const unsigned char*>(args.sketch[i].keyMeans),
                         args.bounds.empty() ? nullptr : args.bounds[i]});
    std::vector<int> rows(args.q.size(0), -1);
    const std::size_t headsAt = tables.add(std::span<const JudgedHead>(heads));
    const std::size_t width = args.chosen.size(1) * args.chosen.size(2),
                      latelyAt = (tables.bytes.size() + 15) / 16 * 16;
    std::vector<std::uint8_t> lately;
    int count = 0;
    for (std::size_t token = 0; token < rows.size() && args.rule.newLeafShare > 0 && !args.lately.empty(); ++token)
        if (args.lately[token] != nullptr) {
            lately.insert(lately.end(), args.lately[token], args.lately[token] + width);
            rows[token] = count++;
        }
    tables.add(std::span<const std::uint8_t>(lately));
    const std::size_t rowsAt = tables.add(std::span<const int>(rows)), chosenAt = tables.add(layerChosen);
    const auto* const there = arguments.put(std::span<const std::byte>(tables.bytes), stream);
    if (there == nullptr) return false;
    j.heads = reinterpret_cast<const JudgedHead*>(there + headsAt);
    j.lately = reinterpret_cast<const unsigned char*>(there + latelyAt);
    j.latelyRow = reinterpret_cast<const int*>(there + rowsAt);
    j.layerChosen = layerChosen.empty() ? nullptr : reinterpret_cast<const std::uint16_t*>(there + chosenAt);
    return true;
}

JudgeArgs rowsOf(const JudgeArgs& args, std::size_t first, std::size_t count) {
    JudgeArgs out = args;
    out.q = args.q.rows(first, count);
    out.exact = args.exact.rows(first, count);
    if (!args.lately.empty()) out.lately = args.lately.subspan(first, count);
    out.chosen = args.chosen.rows(first, count);
    if (args.share.data() != nullptr) out.share = args.share.rows(first, count);
    if (args.rest.data() != nullptr) out.rest = args.rest.rows(first, count);
    if (args.rest.data() != nullptr) out.origin = args.origin.rows(first, count);
    return out;
}

}  // namespace

cudaError_t Judgement::run(const JudgeArgs& args, Arguments& arguments, cudaStream_t stream) {
    const std::size_t tokens = args.q.size(0), heads = args.q.size(1);
    assert(heads % args.chosen.size(1) == 0 && args.q.size(2) <= kJudgeMaxHeadDim &&
           encodable(static_cast<std::uint32_t>(args.q.size(2))));
    assert(args.q.stride() % 4 == 0);  // queries are loaded by fours
    assert(args.chosen.size(0) == tokens && args.exact.size(0) == tokens && args.exact.size(1) == heads);
    assert(args.end <= args.chosen.size(2) && args.sketch.size() == args.chosen.size(1));
    assert(args.lately.empty() || args.lately.size() == tokens);
    assert(args.rule.scorer != Scorer::MinMax || args.bounds.size() == args.chosen.size(1));
    assert(!args.rule.layerChoice || args.rule.scorer == Scorer::MinMax);
    assert(args.rest.data() == nullptr ||
           (args.rule.scorer != Scorer::MinMax && args.rest.size(2) == args.chosen.size(2)));
    if (tokens == 0) return cudaSuccess;
    Judging one = judging(rowsOf(args, 0, 1));
    Pieces measure;
    carve(measure, one);
    const std::size_t most = std::max<std::size_t>(1, std::min(kScratchBytes / measure.used(), kMostRows / heads));
    for (std::size_t token = 0; token < tokens; token += most)
        if (const cudaError_t error = some(rowsOf(args, token, std::min(most, tokens - token)), arguments, stream);
            error != cudaSuccess)
            return error;
    return cudaSuccess;
}

cudaError_t Judgement::some(const JudgeArgs& args, Arguments& arguments, cudaStream_t stream) {
    Judging j = judging(args);
    Pieces measure;
    carve(measure, j);
    void* const memory = scratch_.need(measure.used(), stream);
    if (memory == nullptr) return cudaErrorMemoryAllocation;
    Pieces pieces(memory);
    carve(pieces, j);
    layerChosen_.clear();
    if (args.rule.layerChoice && j.groups > 0)
        if (const cudaError_t error = chooseForLayer(args, j, arguments, stream); error != cudaSuccess) return error;
    if (!putTables(args, layerChosen_, arguments, stream, j)) return arguments.error();

    cudaError_t first = cudaSuccess;
    const auto keep = [&](cudaError_t error) {
        if (first == cudaSuccess) first = error;
    };
    if (j.groups > 0 && (!args.rule.layerChoice || j.share != nullptr)) {
        keep(args.rule.scorer == Scorer::Plane ? scanPlane(j, stream)
                                               : scanUnits(j, args.rule.scorer == Scorer::Means, stream));
        keep(addSums(j, stream));
    }
    keep(chooseTokens(j, stream));
    if (j.items > 0) keep(cutToCap(j, stream));
    if (j.share != nullptr) keep(sumShares(j, stream));
    if (j.rest != nullptr) keep(weighRests(j, stream));
    return first;
}

/// The scores of all parts that might be taken come to the host, whose sorting settles it.
cudaError_t Judgement::chooseForLayer(const JudgeArgs& args, Judging& j, Arguments& arguments, cudaStream_t stream) {
    JudgedLayer layer{};
    const auto fine = static_cast<int>(args.rule.chunkTokens / kLeafTokens);
    int size = static_cast<int>(kLayerChunkTokens / kLeafTokens);
    for (JudgedNodes& of : layer.of) {
        of = {size, j.first / size, 0, layer.nodes};
        if (&of == layer.of || size >= fine) of.count = (j.end - 1) / size - of.first + 1;
        layer.nodes += of.count;
        if (size > 1) size /= 2;
    }
    const std::size_t tokens = args.q.size(0), nodes = static_cast<std::size_t>(layer.nodes);
    layer.out = static_cast<float*>(nodes_.need(tokens * nodes * sizeof(float), stream));
    if (layer.out == nullptr) return cudaErrorMemoryAllocation;
    if (!putTables(args, {}, arguments, stream, j)) return arguments.error();
    if (const cudaError_t error = scoreNodes(j, layer, stream); error != cudaSuccess) return error;

    layerChosen_.assign(tokens * args.chosen.size(2), 0);
    for (std::size_t token = 0; token < tokens; ++token) {
        const auto* const scores = static_cast<const float*>(arguments.stage(nodes * sizeof(float), stream));
        if (scores == nullptr) return arguments.error();
        cudaError_t error = cudaMemcpyAsync(const_cast<float*>(scores), layer.out + token * nodes,
                                            nodes * sizeof(float), cudaMemcpyDeviceToHost, stream);
        if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
        if (error != cudaSuccess) return error;
        LayerChoice(args, [&](std::uint32_t first, std::uint32_t end) {
            const JudgedNodes& of = *std::ranges::find(layer.of, static_cast<int>(end - first), &JudgedNodes::size);
            return scores[of.at + static_cast<int>(first) / of.size - of.first];
        }).choose(layerChosen_.data() + token * args.chosen.size(2));
    }
    return cudaSuccess;
}

}  // namespace carrel::cuda
