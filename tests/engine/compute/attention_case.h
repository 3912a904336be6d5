#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <deque>

#include "backend_under_test.h"

namespace carrel {

/// Codes and grids of a document's leaves for one KV head, random, with the means that belong to them. K8V4: any grid.
struct EncodedKeys {
    EncodedKeys(unsigned seed, std::size_t headDim, std::size_t nLeaves, KvCodec codec = KvCodec::K8V4) : d(headDim) {
        std::mt19937 random(seed);
        std::uniform_real_distribution<float> unit(0, 1);
        const std::size_t blocks = valueBlocks(static_cast<std::uint32_t>(d)), groups = (nLeaves + 3) / 4;
        for (std::size_t i = 0; i < groups * 2 * d; ++i)
            grids.push_back(f32ToF16(i / d % 2 == 0 ? -2 * unit(random) : (0.5f + unit(random)) / 80));
        stride = rowsBytes(static_cast<std::uint32_t>(d));
        rows.resize(nLeaves * stride);
        means.resize(groups * groupMeans());
        for (std::size_t leaf = 0; leaf < nLeaves; ++leaf) {
            std::byte* at = rows.data() + leaf * stride;
            std::generate_n(at, 32 * d, [&] { return std::byte(random()); });
            float valueStep = 0;
            for (std::size_t i = 0; i < kLeafTokens * blocks * 2; ++i) {
                const bool any = codec == KvCodec::K8V4;
                if (any || i % (2 * blocks) == 0) valueStep = (0.5f + unit(random)) / 100;
                const std::uint16_t half = f32ToF16(i % 2 != 0 ? valueStep : any ? unit(random) - 0.5f : 0.0f);
                std::memcpy(at + 32 * d + 2 * i, &half, 2);
            }
            const std::uint16_t step = f32ToF16(0.02f);
            std::byte* of = means.data() + leaf / 4 * groupMeans();
            std::memcpy(of + 4 * d + 2 * (leaf % 4), &step, 2);
            for (std::size_t c = 0; c < d; ++c) {
                double mean = 0;
                for (std::size_t t = 0; t < kLeafTokens; ++t) mean += value(at, t, c) / 16.0;
                of[leaf % 4 * d + c] = static_cast<std::byte>(std::clamp<long>(std::lround(mean / 0.02), -127, 127));
            }
        }
    }
    KvPick pick(std::size_t leaf, std::uint16_t tokens) const {
        return {rows.data() + leaf * stride, grids.data() + leaf / 4 * 2 * d, static_cast<std::uint32_t>(leaf), tokens};
    }
    std::size_t groupMeans() const { return valueMeansBytes(static_cast<std::uint32_t>(d)); }
    /// Of a leaf, from the value means of its group.
    static double meanValue(const std::byte* group, std::size_t headDim, std::size_t leaf, std::size_t c) {
        std::uint16_t step;
        std::memcpy(&step, group + 4 * headDim + 2 * leaf, 2);
        return static_cast<double>(f16ToF32(step)) * std::to_integer<std::int8_t>(group[leaf * headDim + c]);
    }
    double value(const std::byte* leaf, std::size_t t, std::size_t c) const {
        std::uint16_t grid[2];
        std::memcpy(grid, leaf + 32 * d + 4 * (t * valueBlocks(static_cast<std::uint32_t>(d)) + c / 32), 4);
        return static_cast<double>(f16ToF32(grid[0])) +
               static_cast<double>(f16ToF32(grid[1])) * std::to_integer<std::int8_t>(leaf[(16 + t) * d + c]);
    }
    static double key(const KvPick& pick, std::size_t headDim, double code, std::size_t c) {
        return static_cast<double>(f16ToF32(pick.grid[c])) +
               static_cast<double>(f16ToF32(pick.grid[headDim + c])) * code;
    }

    std::size_t d, stride = 0;
    std::vector<std::byte> rows, means;
    std::vector<std::uint16_t> grids;
};

/// Queries of a batch and what every sequence and KV head reads.
struct AttendCase {
    std::size_t nKvHeads, group, headDim, leaves;
    std::vector<std::uint32_t> position, sequence;  // of the batch
    std::vector<std::vector<KvRun>> runs;           // [sequences * nKvHeads]
    std::vector<float> q;
    std::vector<float> weight, origin;  // [tokens, nHeads, leaves], [tokens, nHeads]
    KvCodec codec = KvCodec::K8V4;      // of picks
    bool someLate = false;              // calls come in two passes
    // What runs point to.
    std::deque<std::vector<std::uint16_t>> halves;
    std::deque<EncodedKeys> encoded;
    std::deque<std::vector<KvPick>> picks;

    AttendCase(std::size_t kvHeads, std::size_t groupSize, std::size_t dim, std::size_t nLeaves,
               std::vector<std::uint32_t> positions, std::vector<std::uint32_t> sequences)
        : nKvHeads(kvHeads),
          group(groupSize),
          headDim(dim),
          leaves(nLeaves),
          position(std::move(positions)),
          sequence(std::move(sequences)),
          q(randomFloats(99, position.size() * nHeads() * headDim, 1.5f)),
          weight(randomFloats(98, position.size() * nHeads() * leaves, 1)),
          origin(randomFloats(97, position.size() * nHeads(), 1)) {
        std::mt19937 random(4);
        for (float& w : weight) w = random() % 4 == 0 ? 0 : std::fabs(w);
    }

    std::size_t nHeads() const { return nKvHeads * group; }

    /// Runs of f16 keys of positions [first, end), first a multiple of 64.
    void addHalves(std::vector<KvRun>& to, std::size_t first, std::size_t end) {
        const std::uint16_t* sides[2];
        for (auto& side : sides) {
            std::vector<std::uint16_t>& stored = halves.emplace_back();
            for (const float value : randomFloats(++seed_, (end - first) * headDim)) stored.push_back(f32ToF16(value));
            side = stored.data();
        }
        for (std::size_t at = first; at < end; at += kGroupTokens)
            to.push_back({sides[0] + (at - first) * headDim, sides[1] + (at - first) * headDim,
                          static_cast<std::uint32_t>(at),
                          static_cast<std::uint32_t>(std::min<std::size_t>(kGroupTokens, end - at))});
    }
    /// Runs of picks, as full as they get without splitting a pick.
    void addPicks(std::vector<KvRun>& to, const std::vector<KvPick>& chosen) {
        for (std::size_t i = 0; i < chosen.size();) {
            std::vector<KvPick>& run = picks.emplace_back();
            std::uint32_t tokens = 0;
            for (; i < chosen.size() && tokens + std::popcount(chosen[i].tokens) <= kGroupTokens; ++i) {
                run.push_back(chosen[i]);
                tokens += static_cast<std::uint32_t>(std::popcount(chosen[i].tokens));
            }
            to.push_back({.first = run.front().leaf * kLeafTokens, .tokens = tokens, .picks = run});
        }
    }
    /// Runs of the means of the first groups.
    void addRests(std::vector<KvRun>& to, const EncodedKeys& keys, std::size_t groups) {
        for (std::size_t g = 0; g < groups; g += 16)
            to.push_back({.first = static_cast<std::uint32_t>(g * kGroupTokens),
                          .tokens = static_cast<std::uint32_t>(std::min<std::size_t>(16, groups - g) * kGroupLeaves),
                          .rest = keys.means.data() + g * keys.groupMeans()});
    }

  private:
    unsigned seed_ = 1;
};

struct Attended {
    std::vector<float> out, logSumExp, mass;
};

/// Tokens `which` of the batch; the runs in calls of so many each, the last with what is left.
inline Attended attend(Backend& backend, const AttendCase& c, const std::vector<std::size_t>& which,
                       const std::vector<std::size_t>& calls = {}) {
    const std::size_t count = which.size(), width = c.nHeads() * c.headDim;
    Attended result{std::vector<float>(count * width, -7), std::vector<float>(count * c.nHeads(), -7),
                    std::vector<float>(count * c.nHeads() * c.leaves, -7)};
    std::vector<float> q, weight, origin, state(count * c.nHeads() * (c.headDim + 2), -7), before;
    std::vector<std::uint32_t> position, sequence;
    for (const std::size_t t : which) {
        q.insert(q.end(), c.q.begin() + static_cast<std::ptrdiff_t>(t * width),
                 c.q.begin() + static_cast<std::ptrdiff_t>((t + 1) * width));
        const auto from = [&](const std::vector<float>& of, std::size_t n) {
            return of.begin() + static_cast<std::ptrdiff_t>(t * n);
        };
        weight.insert(weight.end(), from(c.weight, c.nHeads() * c.leaves),
                      from(c.weight, c.nHeads() * c.leaves) + static_cast<std::ptrdiff_t>(c.nHeads() * c.leaves));
        origin.insert(origin.end(), from(c.origin, c.nHeads()),
                      from(c.origin, c.nHeads()) + static_cast<std::ptrdiff_t>(c.nHeads()));
        position.push_back(c.position[t]), sequence.push_back(c.sequence[t]);
    }
    Mirror memory(backend);
    for (const auto& side : c.halves) memory.add(side);
    for (const EncodedKeys& keys : c.encoded) memory.add(keys.rows), memory.add(keys.means), memory.add(keys.grids);
    std::deque<std::vector<KvPick>> picks;
    std::vector<std::vector<KvRun>> mirrored = c.runs;
    for (auto& runs : mirrored)
        for (KvRun& run : runs) {
            run.keys = memory.at(run.keys), run.values = memory.at(run.values), run.rest = memory.at(run.rest);
            auto& own = picks.emplace_back(run.picks.begin(), run.picks.end());
            for (KvPick& pick : own) pick.rows = memory.at(pick.rows), pick.grid = memory.at(pick.grid);
            run.picks = own;
        }
    AttendArgs args;
    args.q = View<const float, 3>(memory.add(std::as_const(q)), {count, c.nHeads(), c.headDim});
    args.position = position;
    args.sequence = sequence;
    args.nKvHeads = c.nKvHeads;
    args.codec = c.codec;
    args.scale = 1 / std::sqrt(static_cast<float>(c.headDim));
    args.out = {memory.add(result.out), {count, c.nHeads(), c.headDim}};
    args.logSumExp = {memory.add(result.logSumExp), {count, c.nHeads()}};
    args.mass = {memory.add(result.mass), {count, c.nHeads(), c.leaves}};
    args.weight = View<const float, 3>(memory.add(std::as_const(weight)), {count, c.nHeads(), c.leaves});
    args.origin = View<const float, 2>(memory.add(std::as_const(origin)), {count, c.nHeads()});
    if (!calls.empty()) args.state = {memory.add(state), {count, c.nHeads(), c.headDim + 2}};
    std::size_t first = 0;
    for (std::size_t call = 0; call <= calls.size(); ++call) {
        const std::size_t take = call < calls.size() ? calls[call] : SIZE_MAX;
        std::vector<std::span<const KvRun>> rows;
        for (const auto& runs : mirrored) {
            const std::size_t from = std::min(first, runs.size());
            rows.push_back(std::span(runs).subspan(from, std::min(take, runs.size() - from)));
        }
        args.runs = rows;
        args.begins = call == 0, args.ends = call == calls.size();
        before = result.logSumExp;
        const std::vector<float> earlier = result.mass;
        if (c.someLate) {
            args.pass = AttendPass::There;
            backend.attend(args);
            args.pass = AttendPass::Late;
        }
        backend.attend(args);
        args.pass = AttendPass::All;
        memory.read();
        // What this call did not write belongs to earlier ones: as the contract says, the caller rescales it.
        if (call > 0)
            for (std::size_t i = 0; i < result.mass.size(); ++i)
                if (result.mass[i] == earlier[i])
                    result.mass[i] *= std::exp(before[i / c.leaves] - result.logSumExp[i / c.leaves]);
        if (call < calls.size()) first += take;
        memory.write();
    }
    return result;
}

/// Compares with softmax in double precision over what the runs stand for.
inline void compareWithDefinition(const AttendCase& c, const Attended& got, double tolerance = 1e-5) {
    struct Key {
        double score;
        std::vector<double> value;
        std::size_t leaf;
    };
    const std::size_t width = c.nHeads() * c.headDim, d = c.headDim;
    const double scale = 1 / std::sqrt(static_cast<double>(d));
    for (std::size_t t = 0; t < c.position.size(); ++t)
        for (std::size_t h = 0; h < c.nHeads(); ++h) {
            std::vector<Key> keys;
            const float* q = &c.q[t * width + h * d];
            const auto add = [&](const auto& keyAt, const auto& valueAt, double bias, std::size_t leaf) {
                Key key{bias, std::vector<double>(d), leaf};
                for (std::size_t i = 0; i < d; ++i) {
                    key.score += scale * static_cast<double>(q[i]) * keyAt(i);
                    key.value[i] = valueAt(i);
                }
                keys.push_back(std::move(key));
            };
            const EncodedKeys of(0, d, 0);
            const auto outside = [&](const KvRun& run, std::size_t at) {
                return run.window != KvRun::kNoWindow && (at > c.position[t] || c.position[t] - at >= run.window);
            };
            for (const KvRun& run : c.runs[c.sequence[t] * c.nKvHeads + h / c.group]) {
                for (const KvPick& pick : run.picks)
                    for (std::size_t k = 0; k < kLeafTokens; ++k) {
                        if ((pick.tokens >> k & 1) == 0 || outside(run, pick.leaf * kLeafTokens + k)) continue;
                        add(
                            [&](std::size_t i) {
                                return of.key(pick, d, std::to_integer<int>(pick.rows[k * d + i]), i);
                            },
                            [&](std::size_t i) { return of.value(pick.rows, k, i); }, 0, pick.leaf);
                    }
                for (std::size_t k = 0; run.rest != nullptr && k < run.tokens; ++k) {
                    const std::size_t head = t * c.nHeads() + h;
                    const auto weight = static_cast<double>(c.weight[head * c.leaves + run.first / kLeafTokens + k]);
                    if (weight == 0) continue;
                    const std::byte* means = run.rest + k / 4 * valueMeansBytes(static_cast<std::uint32_t>(d));
                    add([](std::size_t) { return 0.0; },
                        [&](std::size_t i) { return of.meanValue(means, d, k % 4, i); },
                        static_cast<double>(c.origin[head]) + std::log(weight), SIZE_MAX);
                }
                if (!run.picks.empty() || run.rest != nullptr) continue;
                for (std::size_t k = 0; k < run.tokens && run.first + k <= c.position[t]; ++k) {
                    if (outside(run, run.first + k)) continue;
                    add([&](std::size_t i) { return static_cast<double>(f16ToF32(run.keys[k * d + i])); },
                        [&](std::size_t i) { return static_cast<double>(f16ToF32(run.values[k * d + i])); }, 0,
                        (run.first + k) / kLeafTokens);
                }
            }
            double m = -INFINITY, sum = 0, rest = 0;
            for (const Key& key : keys) m = std::max(m, key.score);
            for (const Key& key : keys) sum += std::exp(key.score - m);
            std::vector<double> out(d), mass(c.leaves);
            for (const Key& key : keys) {
                const double share = std::exp(key.score - m) / sum;
                (key.leaf == SIZE_MAX ? rest : mass[key.leaf]) += share;
                for (std::size_t i = 0; i < d; ++i) out[i] += share * key.value[i];
            }
            INFO("token ", t, " head ", h, " of head size ", d, " sees ", keys.size());
            for (std::size_t i = 0; i < d; ++i)
                REQUIRE(std::fabs(static_cast<double>(got.out[t * width + h * d + i]) - out[i]) < tolerance);
            REQUIRE(std::fabs(static_cast<double>(got.logSumExp[t * c.nHeads() + h]) - (m + std::log(sum))) <
                    tolerance);
            double total = 0;
            for (std::size_t i = 0; i < c.leaves; ++i) {
                const auto share = static_cast<double>(got.mass[(t * c.nHeads() + h) * c.leaves + i]);
                REQUIRE(std::fabs(share - mass[i]) < tolerance);
                total += share;
            }
            REQUIRE(std::fabs(total - (1 - rest)) < tolerance);
        }
}

}  // namespace carrel
