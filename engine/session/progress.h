#pragma once

#include <carrel/events.h>

#include <cstdint>
#include <deque>

namespace carrel {

/// Speed and time left of a reading, from its own batches. Reading n tokens costs a·n + b·n²: weights for every token,
/// attention for every pair. Both are fitted by least squares to the batches seen. Early batches hardly tell b from
/// noise, and most of a long document's time is b: what b / a is expected to be counts as one batch more.
class ProgressFit {
  public:
    /// pairCost: b / a before anything is measured; 0: nothing is expected.
    explicit ProgressFit(double pairCost = 0) : pairCost_(pairCost) {}
    /// What earlier readings took: the estimate before the first batch, and a better b / a.
    void expect(const ReadingSpeed& earlier);
    /// A batch that brought the tokens read from `from` to `to`.
    void add(std::uint64_t from, std::uint64_t to, double seconds);
    double tokensPerSecond() const;  // over the last few batches; 0 before the first
    /// Seconds from `now` to `end` tokens; negative before the first batch where nothing is expected.
    double etaSeconds(std::uint64_t now, std::uint64_t end) const;
    /// Of the batches seen; not known before a few.
    ReadingSpeed speed() const;
    double seconds() const { return seconds_; }
    /// Tokens, a multiple of 64 and at most `most`, that take about `target` seconds from here.
    std::uint32_t batchTokens(double target, std::uint32_t most) const;

  private:
    struct Batch {
        double tokens, seconds;
    };
    ReadingSpeed fit() const;

    double pairCost_;
    ReadingSpeed expected_;
    std::deque<Batch> recent_;
    std::uint64_t batches_ = 0;
    double xx_ = 0, xy_ = 0, yy_ = 0, xt_ = 0, yt_ = 0;  // sums over batches: x = tokens, y = to² - from², t = seconds
    double seconds_ = 0;
};

}  // namespace carrel
