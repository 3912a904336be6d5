#include <carrel/models.h>

#include <algorithm>
#include <tuple>

namespace carrel {

namespace {

// Of 16-bit KV: what is kept of it in memory (k8v6 and what it is judged from), the least that answering works with
// (codes of keys, tables, a small cache), and what a token costs of it, as if so many of its bytes were read: attention
// and judging are bound by instructions (tests/bench/RESULTS.md).
constexpr double kKeptShare = 0.5, kLeastShare = 0.125, kReadShare = 0.6;
constexpr std::uint64_t kProgramBytes = std::uint64_t{256} << 20, kLeastKvBytes = std::uint64_t{32} << 20;
constexpr double kTokenSeconds = 0.0015,
                 kWeightsSlower = 1.05;       // what a token costs besides, and products beside reads
constexpr double kEnoughTokensPerSecond = 5;  // about as fast as one reads
constexpr std::uint32_t kReserved = 2048;     // of a window, for question and answer

int rank(const FoundModel& model) {
    if (!model.info) return 4;
    switch (model.fit.fit) {
        case Fit::Fits:
            return 0;
        case Fit::Unknown:
            return 1;
        case Fit::Slow:
            return 2;
        case Fit::WontFit:
            break;
    }
    return 3;
}

}  // namespace

FitEstimate estimateFit(const ModelInfo& model, const Machine& machine) {
    const std::uint32_t tokens = std::min(kTypicalDocumentTokens, model.window - std::min(model.window, kReserved));
    const double kv = static_cast<double>(model.kvBytesPerToken) * tokens;
    FitEstimate out;
    const std::uint64_t weights = model.fileBytes + kProgramBytes;
    out.memoryBytes = weights + static_cast<std::uint64_t>(kKeptShare * kv);
    const std::uint64_t least = weights + kLeastKvBytes + static_cast<std::uint64_t>(kLeastShare * kv);
    if (machine.bytesPerSecond > 0) {
        const double read = kWeightsSlower * static_cast<double>(model.tokenBytes) + kReadShare * kv;
        out.tokensPerSecond = 1 / (kTokenSeconds + read / machine.bytesPerSecond);
    }
    if (machine.availableBytes > 0 && least > machine.availableBytes)
        out.fit = Fit::WontFit;
    else if (machine.availableBytes == 0 || machine.bytesPerSecond <= 0)
        out.fit = Fit::Unknown;
    else
        out.fit = out.memoryBytes <= machine.availableBytes && out.tokensPerSecond >= kEnoughTokensPerSecond
                      ? Fit::Fits
                      : Fit::Slow;
    return out;
}

void rankByFit(std::vector<FoundModel>& models, const Machine& machine) {
    for (FoundModel& model : models)
        if (model.info) model.fit = estimateFit(*model.info, machine);
    const auto key = [](const FoundModel& model) {
        const int order = rank(model);
        if (!model.info) return std::tuple(order, 0, 0.0);
        const int plain = model.info->chatTemplate == "plain" ? 1 : 0;
        const double size = static_cast<double>(model.info->fileBytes);
        return std::tuple(order, plain, order < 2 ? -size : size);
    };
    std::ranges::stable_sort(models, {}, key);
}

}  // namespace carrel
