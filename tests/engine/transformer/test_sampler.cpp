#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "transformer/sampler.h"

namespace carrel {

namespace {

constexpr int kDraws = 10'000;

std::vector<float> someLogits(unsigned seed, std::size_t count) {
    std::mt19937 random(seed);
    std::vector<float> out(count);
    for (float& x : out) x = static_cast<float>(random() % 8000) / 1000.0f - 4.0f;
    return out;
}

std::vector<int> drawn(SamplerOptions options, const std::vector<float>& logits) {
    Sampler sampler(options);
    std::vector<int> times(logits.size());
    for (int i = 0; i < kDraws; ++i) ++times.at(static_cast<std::size_t>(sampler.next(logits)));
    return times;
}

/// Ids by probability, largest first, with it.
std::vector<std::pair<std::size_t, double>> ranked(const std::vector<float>& logits, double temperature) {
    std::vector<std::pair<std::size_t, double>> out;
    double sum = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        out.emplace_back(i, std::exp(static_cast<double>(logits[i]) / temperature));
        sum += out.back().second;
    }
    for (auto& [id, p] : out) p /= sum;
    std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    return out;
}

/// Every id is drawn about as often as its share of what may be drawn, and none outside is drawn at all.
void checkDraws(SamplerOptions options, const std::vector<float>& logits, std::size_t allowed) {
    const auto order = ranked(logits, static_cast<double>(options.temperature));
    const auto times = drawn(options, logits);
    double sum = 0;
    for (std::size_t i = 0; i < allowed; ++i) sum += order[i].second;
    for (std::size_t i = 0; i < order.size(); ++i) {
        CAPTURE(i);
        const double expected = i < allowed ? kDraws * order[i].second / sum : 0;
        CHECK(std::abs(times[order[i].first] - expected) <= 5 * std::sqrt(expected));  // five deviations
    }
}

}  // namespace

TEST_CASE("Greedy takes the largest logit, the first of equals, whatever the filters and the seed") {
    for (unsigned seed = 0; seed < 50; ++seed) {
        const auto logits = someLogits(seed, 1 + seed * 7);
        const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
        CHECK(Sampler({}).next(logits) == best);
        CHECK(Sampler({.topP = 0.3f, .minP = 0.2f, .topK = 3, .seed = seed}).next(logits) == best);
    }
    CHECK(Sampler({}).next(std::vector<float>{1, 3, 3, 2}) == 1);
    CHECK(Sampler({}).next(std::vector<float>{-INFINITY, -5, -INFINITY}) == 1);
}

TEST_CASE("The same seed gives the same tokens, and another seed others") {
    const auto logits = someLogits(1, 100);
    const auto tokens = [&](std::uint64_t seed) {
        Sampler sampler({.temperature = 1, .seed = seed});
        std::vector<std::int32_t> out(200);
        for (auto& id : out) id = sampler.next(logits);
        return out;
    };
    CHECK(tokens(1) == tokens(1));
    CHECK(tokens(1) != tokens(2));
}

TEST_CASE("Without filters every token is drawn as often as its probability says, colder the more so") {
    for (const float temperature : {0.5f, 1.0f, 2.0f}) {
        CAPTURE(temperature);
        checkDraws({.temperature = temperature, .seed = 7}, someLogits(2, 20), 20);
    }
}

TEST_CASE("Top-k never draws outside the k largest, and a k larger than the vocabulary is no filter") {
    const auto logits = someLogits(3, 50);
    for (const std::uint32_t k : {1u, 2u, 7u, 49u, 50u, 51u, 1000u}) {
        CAPTURE(k);
        checkDraws({.temperature = 1.5f, .topK = k, .seed = k}, logits, std::min<std::size_t>(k, 50));
    }
}

TEST_CASE("Top-p draws from the fewest largest tokens that together reach p, and from the largest at least") {
    const auto logits = someLogits(4, 50);
    const auto order = ranked(logits, 1);
    for (const float p : {0.0f, 0.1f, 0.5f, 0.9f, 0.99f, 1.0f}) {
        CAPTURE(p);
        std::size_t allowed = 0;
        for (double sum = 0; allowed < order.size() && (allowed == 0 || sum < static_cast<double>(p)); ++allowed)
            sum += order[allowed].second;
        checkDraws({.temperature = 1, .topP = p, .seed = 5}, logits, allowed);
    }
}

TEST_CASE("Min-p never draws a token less likely than that share of the likeliest") {
    const auto logits = someLogits(5, 50);
    const auto order = ranked(logits, 1);
    for (const float p : {0.01f, 0.1f, 0.5f, 1.0f}) {
        CAPTURE(p);
        std::size_t allowed = 1;
        while (allowed < order.size() && order[allowed].second >= static_cast<double>(p) * order[0].second) ++allowed;
        checkDraws({.temperature = 1, .minP = p, .seed = 6}, logits, allowed);
    }
}

TEST_CASE("Filters together draw only what each of them lets through") {
    const auto logits = someLogits(6, 50);
    const auto order = ranked(logits, 1);
    std::set<std::size_t> allowed;
    for (std::size_t i = 0; i < 6; ++i)
        if (order[i].second >= 0.3 * order[0].second) allowed.insert(order[i].first);
    const auto times = drawn({.temperature = 1, .topP = 0.8f, .minP = 0.3f, .topK = 6, .seed = 1}, logits);
    for (std::size_t i = 0; i < times.size(); ++i)
        if (times[i] > 0) CHECK(allowed.contains(i));
}

TEST_CASE("Of equal logits each is drawn, and top-k keeps the first") {
    const std::vector<float> flat(10, 2.5f);
    checkDraws({.temperature = 1, .seed = 3}, flat, 10);
    checkDraws({.temperature = 1, .topK = 4, .seed = 3}, flat, 4);
    CHECK(drawn({.temperature = 1, .seed = 1}, {0.5f})[0] == kDraws);
}

TEST_CASE("Logits far apart and infinitely low ones are drawn without overflow") {
    const auto times = drawn({.temperature = 1, .seed = 2}, {-INFINITY, 3e38f, -3e38f, -INFINITY});
    CHECK(times == std::vector<int>{0, kDraws, 0, 0});
}

}  // namespace carrel
