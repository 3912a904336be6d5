#pragma once

#include <carrel/tiers.h>

#include <array>
#include <cstdint>
#include <vector>

namespace carrel::app {

/// What was read and brought nearer between looks at a reading, and how lately: a brightness that fades. Of the
/// engine's counters alone.
class TierHeat {
  public:
    struct Leaf {
        float read = 0;                       // 1: since the last look; fading afterwards
        float moved = 0;                      // the same of a read that had to bring it from `from`
        std::uint8_t from = 0;                // Tier
        std::array<std::uint32_t, 3> seen{};  // LeafPlace::reads at the last look
    };

    /// Another look, so many seconds after the last one.
    void look(const TierView& view, double seconds);
    void clear();
    /// Nobody looks: what is read until the next look is no news then.
    void lookAway() { looked_ = false; }

    /// As the view's rows and their leaves.
    const std::vector<std::vector<Leaf>>& rows() const { return rows_; }
    /// Reads since the last look, by where they found it.
    const std::array<std::uint64_t, 3>& reads() const { return reads_; }
    bool fading() const { return fading_; }

  private:
    std::vector<std::vector<Leaf>> rows_;
    std::array<std::uint64_t, 3> reads_{};
    std::uint64_t counting_ = 0;
    bool looked_ = false, fading_ = false;
};

}  // namespace carrel::app
