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

TEST_CASE("An expected cost of pairs keeps an estimate after a tenth near the truth, however noisy the batches are") {
    // As measured of a 0.5B model: most of 27,000 tokens' time is pairs, and little of the first tenth's.
    constexpr double kPerToken = 1.2e-3, kPerPair = 1.4e-7;
    constexpr std::uint64_t kEnd = 27'000;
    double worst = 0, worstUnguided = 0;
    for (unsigned seed = 0; seed < 200; ++seed) {
        std::mt19937 random(seed);
        ProgressFit guided(1e-4), unguided;
        std::uint64_t at = 0;
        while (at < kEnd / 10) {
            const ReadingSpeed truth{kPerToken, kPerPair};
            const double noise = std::uniform_real_distribution(0.9, 1.1)(random);
            const double seconds = noise * truth.seconds(static_cast<double>(at), static_cast<double>(at + 512));
            guided.add(at, at + 512, seconds);
            unguided.add(at, at + 512, seconds);
            at += 512;
        }
        const double left = ReadingSpeed{kPerToken, kPerPair}.seconds(static_cast<double>(at), kEnd);
        worst = std::max(worst, std::abs(guided.etaSeconds(at, kEnd) - left) / left);
        worstUnguided = std::max(worstUnguided, std::abs(unguided.etaSeconds(at, kEnd) - left) / left);
    }
    CHECK(worst < 0.2);
    CHECK(worstUnguided > 0.2);  // else nothing need be expected
}

TEST_CASE("What earlier readings took is the estimate before the first batch") {
    ProgressFit fit;
    fit.expect({});
    CHECK(fit.etaSeconds(0, 1000) < 0);
    fit.expect({2e-3, 1e-7});
    CHECK(fit.etaSeconds(0, 1000) == doctest::Approx(2.1));
    CHECK_FALSE(fit.speed().known());
    for (std::uint64_t at = 0; at < 8 * 512; at += 512)
        fit.add(at, at + 512, ReadingSpeed{4e-3, 2e-7}.seconds(static_cast<double>(at), static_cast<double>(at + 512)));
    CHECK(fit.etaSeconds(4096, 8192) == doctest::Approx(ReadingSpeed{4e-3, 2e-7}.seconds(4096, 8192)));
    CHECK(fit.speed().perToken == doctest::Approx(4e-3));
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
