#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "session/progress.h"

namespace carrel {

TEST_CASE("The fit recovers what a token and a pair of tokens cost, from exact batches of any sizes") {
    for (const auto& [perToken, perPair] : {std::pair{2e-3, 1e-7}, std::pair{1e-2, 0.0}, std::pair{5e-4, 3e-6}}) {
        CAPTURE(perToken);
        ProgressFit fit;
        CHECK(fit.etaSeconds(0, 1000) < 0);
        CHECK(fit.tokensPerSecond() == 0);
        std::mt19937 random(1);
        const auto cost = [&, a = perToken, b = perPair](double from, double to) {
            return a * (to - from) + b * (to * to - from * from);
        };
        double at = 0;
        for (int i = 0; i < 20; ++i) {
            const double next = at + 64.0 * (1 + random() % 8);
            fit.add(static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(next), cost(at, next));
            at = next;
            if (i < 3) continue;
            CHECK(fit.etaSeconds(static_cast<std::uint64_t>(at), 30'000) ==
                  doctest::Approx(cost(at, 30'000)).epsilon(1e-6));
        }
        CHECK(fit.etaSeconds(static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(at)) == doctest::Approx(0));
        CHECK(fit.seconds() == doctest::Approx(cost(0, at)));
    }
}

TEST_CASE("Time left is never negative and a batch is a multiple of 64 within its bounds, whatever was measured") {
    std::mt19937 random(2);
    for (int round = 0; round < 500; ++round) {
        CAPTURE(round);
        ProgressFit fit;
        CHECK(fit.batchTokens(1.5, 512) == 128);
        std::uint64_t at = 0;
        for (int i = 0; i < 8; ++i) {
            const std::uint64_t next = at + 1 + random() % 512;
            // Seconds of any size, none among them: a clock may not have moved.
            fit.add(at, next,
                    random() % 5 == 0
                        ? 0.0
                        : std::pow(10.0, static_cast<double>(random() % 9) - 6) * static_cast<double>(random() % 100));
            at = next;
            for (const std::uint64_t end : {at, at + 1, at + 100'000}) CHECK(fit.etaSeconds(at, end) >= 0);
            for (const std::uint32_t most : {64u, 128u, 512u})
                for (const double target : {0.001, 1.5, 1000.0}) {
                    const std::uint32_t tokens = fit.batchTokens(target, most);
                    CHECK(tokens % 64 == 0);
                    CHECK(tokens >= 64);
                    CHECK(tokens <= most);
                }
            CHECK(fit.tokensPerSecond() >= 0);
        }
    }
}

}  // namespace carrel
