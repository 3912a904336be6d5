#include "session/progress.h"

#include <algorithm>

namespace carrel {

void ProgressFit::add(std::uint64_t from, std::uint64_t to, double seconds) {
    const double a = static_cast<double>(from), b = static_cast<double>(to), x = b - a, y = b * b - a * a;
    xx_ += x * x;
    xy_ += x * y;
    yy_ += y * y;
    xt_ += x * seconds;
    yt_ += y * seconds;
    seconds_ += seconds;
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

double ProgressFit::etaSeconds(std::uint64_t now, std::uint64_t end) const {
    if (recent_.empty()) return -1;
    const double n = static_cast<double>(now), e = static_cast<double>(end), determinant = xx_ * yy_ - xy_ * xy_;
    double perToken = 0, perPair = 0;
    if (determinant > 1e-9 * xx_ * yy_) {
        perToken = (xt_ * yy_ - yt_ * xy_) / determinant;
        perPair = (yt_ * xx_ - xt_ * xy_) / determinant;
    }
    // Few or noisy batches can fit a negative cost; one term alone then says more.
    if (perToken <= 0 || perPair < 0) {
        perToken = xt_ / xx_;
        perPair = 0;
    }
    return std::max(0.0, perToken * (e - n) + perPair * (e * e - n * n));
}

std::uint32_t ProgressFit::batchTokens(double target, std::uint32_t most) const {
    if (recent_.empty()) return std::min<std::uint32_t>(most, 128);
    const double fits = recent_.back().tokens / std::max(1e-6, recent_.back().seconds) * target;
    return std::clamp(static_cast<std::uint32_t>(std::min(fits, 65536.0)) / 64 * 64, 64u, most);
}

}  // namespace carrel
