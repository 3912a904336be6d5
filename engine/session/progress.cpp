#include "session/progress.h"

#include <algorithm>

namespace carrel {

namespace {

// How much an expected b / a counts: as a batch of this many pairs more would.
constexpr double kGuessedPairs = 4e6, kMeasuredPairs = 8e6;
constexpr std::uint64_t kEnoughBatches = 8;

}  // namespace

void ProgressFit::expect(const ReadingSpeed& earlier) {
    if (!earlier.known()) return;
    expected_ = earlier;
    pairCost_ = earlier.perPair / earlier.perToken;
}

void ProgressFit::add(std::uint64_t from, std::uint64_t to, double seconds) {
    const double a = static_cast<double>(from), b = static_cast<double>(to), x = b - a, y = b * b - a * a;
    xx_ += x * x;
    xy_ += x * y;
    yy_ += y * y;
    xt_ += x * seconds;
    yt_ += y * seconds;
    seconds_ += seconds;
    ++batches_;
    recent_.push_back({x, seconds});
    if (recent_.size() > 4) recent_.pop_front();
}

double ProgressFit::tokensPerSecond() const {
    double tokens = 0, seconds = 0;
    for (const Batch& batch : recent_) {
        tokens += batch.tokens;
        seconds += batch.seconds;
    }
    return seconds > 0 ? tokens / seconds : 0;
}

ReadingSpeed ProgressFit::fit() const {
    const double weight = pairCost_ > 0 ? (expected_.known() ? kMeasuredPairs : kGuessedPairs) : 0, w = weight * weight;
    // The expected ratio is a row more: b - pairCost * a = 0, times the weight.
    const double xx = xx_ + pairCost_ * pairCost_ * w, xy = xy_ - pairCost_ * w, yy = yy_ + w;
    const double determinant = xx * yy - xy * xy;
    ReadingSpeed out;
    if (determinant > 1e-9 * xx * yy) {
        out.perToken = (xt_ * yy - yt_ * xy) / determinant;
        out.perPair = (yt_ * xx - xt_ * xy) / determinant;
    }
    // Few or noisy batches can fit a negative cost; the expected ratio alone then says more.
    if (out.perToken <= 0 || out.perPair < 0) {
        const double square = xx_ + 2 * pairCost_ * xy_ + pairCost_ * pairCost_ * yy_;
        out.perToken = (xt_ + pairCost_ * yt_) / square;
        out.perPair = pairCost_ * out.perToken;
    }
    return out;
}

double ProgressFit::etaSeconds(std::uint64_t now, std::uint64_t end) const {
    if (batches_ == 0 && !expected_.known()) return -1;
    const ReadingSpeed speed = batches_ == 0 ? expected_ : fit();
    return std::max(0.0, speed.seconds(static_cast<double>(now), static_cast<double>(end)));
}

ReadingSpeed ProgressFit::speed() const {
    return batches_ < kEnoughBatches ? ReadingSpeed{} : fit();
}

std::uint32_t ProgressFit::batchTokens(double target, std::uint32_t most) const {
    if (recent_.empty()) return std::min<std::uint32_t>(most, 128);
    // To the nearest: half a batch costs more than half, and would then look as if no more fitted.
    const double fits = recent_.back().tokens / std::max(1e-6, recent_.back().seconds) * target;
    return std::clamp(static_cast<std::uint32_t>(std::min(fits, 65536.0) + 32) / 64 * 64, 64u, most);
}

}  // namespace carrel
