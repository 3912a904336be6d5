#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <deque>

#include "backend_under_test.h"

namespace carrel {

/// Codes and grids of a document's leaves for one KV head, random, with the means that belong to them.
struct EncodedKeys {
    EncodedKeys(unsigned seed, std::size_t headDim, std::size_t nLeaves) : d(headDim) {
        std::mt19937 random(seed);
        std::uniform_real_distribution<float> unit(0, 1);
        const std::size_t blocks = valueBlocks(static_cast<std::uint32_t>(d)), groups = (nLeaves + 3) / 4;
        for (std::size_t i = 0; i < groups * 2 * d; ++i)
            grids.push_back(f32ToF16(i / d % 2 == 0 ? -2 * unit(random) : (0.5f + unit(random)) / 80));
        stride = rowsBytes(static_cast<std::uint32_t>(d));
        rows.resize(nLeaves * stride);
        keyMeans.resize(nLeaves * d);
        valueMeans.resize(nLeaves * d);
        for (std::size_t leaf = 0; leaf < nLeaves; ++leaf) {
            std::byte* at = rows.data() + leaf * stride;
            std::generate_n(at, 32 * d, [&] { return std::byte(random()); });
            for (std::size_t i = 0; i < kLeafTokens * blocks * 2; ++i) {
                const std::uint16_t half = f32ToF16(i % 2 == 0 ? unit(random) - 0.5f : (0.5f + unit(random)) / 100);
                std::memcpy(at + 32 * d + 2 * i, &half, 2);
            }
            valueSteps.push_back(f32ToF16(0.02f));
            for (std::size_t c = 0; c < d; ++c) {
                double key = 0, mean = 0;
                for (std::size_t t = 0; t < kLeafTokens; ++t)
                    key += std::to_integer<int>(at[t * d + c]) / 16.0, mean += value(at, t, c) / 16.0;
                keyMeans[leaf * d + c] = static_cast<std::uint8_t>(std::lround(key));
                valueMeans[leaf * d + c] =
                    static_cast<std::int8_t>(std::clamp<long>(std::lround(mean / 0.02), -127, 127));
            }
        }
    }
    KvPick pick(std::size_t leaf, std::uint16_t tokens) const {
        return {rows.data() + leaf * stride, grids.data() + leaf / 4 * 2 * d, static_cast<std::uint32_t>(leaf), tokens};
    }
    KvRest rest(std::size_t leaf, std::uint16_t read) const {
        KvRest out{&keyMeans[leaf * d], &valueMeans[leaf * d], &valueSteps[leaf], pick(leaf, read)};
        if (read == 0) out.read.rows = nullptr;
        return out;
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
    std::vector<std::byte> rows;
    std::vector<std::uint16_t> grids, valueSteps;
    std::vector<std::uint8_t> keyMeans;
    std::vector<std::int8_t> valueMeans;
};

/// Queries of a batch and what every sequence and KV head reads.
struct AttendCase {
    std::size_t nKvHeads, group, headDim, leaves;
    std::vector<std::uint32_t> position, sequence;  // of the batch
    std::vector<std::vector<KvRun>> runs;           // [sequences * nKvHeads]
    std::vector<float> q;
    bool someLate = false;  // calls come in two passes
    // What runs point to.
    std::deque<std::vector<std::uint16_t>> halves;
    std::deque<EncodedKeys> encoded;
    std::deque<std::vector<KvPick>> picks;
    std::deque<std::vector<KvRest>> rests;

    AttendCase(std::size_t kvHeads, std::size_t groupSize, std::size_t dim, std::size_t nLeaves,
               std::vector<std::uint32_t> positions, std::vector<std::uint32_t> sequences)
        : nKvHeads(kvHeads),
          group(groupSize),
          headDim(dim),
          leaves(nLeaves),
          position(std::move(positions)),
          sequence(std::move(sequences)),
          q(randomFloats(99, position.size() * nHeads() * headDim, 1.5f)) {}

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
    void addRests(std::vector<KvRun>& to, const std::vector<KvRest>& left) {
        for (std::size_t i = 0; i < left.size(); i += kGroupTokens) {
            const std::size_t end = std::min(left.size(), i + kGroupTokens);
            rests.emplace_back(left.begin() + static_cast<std::ptrdiff_t>(i),
                               left.begin() + static_cast<std::ptrdiff_t>(end));
            to.push_back({.tokens = static_cast<std::uint32_t>(end - i), .rest = rests.back()});
        }
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
    std::vector<float> q, state(count * c.nHeads() * (c.headDim + 2), -7), before;
    std::vector<std::uint32_t> position, sequence;
    for (const std::size_t t : which) {
        q.insert(q.end(), c.q.begin() + static_cast<std::ptrdiff_t>(t * width),
                 c.q.begin() + static_cast<std::ptrdiff_t>((t + 1) * width));
        position.push_back(c.position[t]), sequence.push_back(c.sequence[t]);
    }
    AttendArgs args;
    args.q = View<const float, 3>(q.data(), {count, c.nHeads(), c.headDim});
    args.position = position;
    args.sequence = sequence;
    args.nKvHeads = c.nKvHeads;
    args.scale = 1 / std::sqrt(static_cast<float>(c.headDim));
    args.out = {result.out.data(), {count, c.nHeads(), c.headDim}};
    args.logSumExp = {result.logSumExp.data(), {count, c.nHeads()}};
    args.mass = {result.mass.data(), {count, c.nHeads(), c.leaves}};
    if (!calls.empty()) args.state = {state.data(), {count, c.nHeads(), c.headDim + 2}};
    std::size_t first = 0;
    for (std::size_t call = 0; call <= calls.size(); ++call) {
        const std::size_t take = call < calls.size() ? calls[call] : SIZE_MAX;
        std::vector<std::span<const KvRun>> rows;
        for (const auto& runs : c.runs) {
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
        // What this call did not write belongs to earlier ones: as the contract says, the caller rescales it.
        if (call > 0)
            for (std::size_t i = 0; i < result.mass.size(); ++i)
                if (result.mass[i] == earlier[i])
                    result.mass[i] *= std::exp(before[i / c.leaves] - result.logSumExp[i / c.leaves]);
        if (call < calls.size()) first += take;
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
            for (const KvRun& run : c.runs[c.sequence[t] * c.nKvHeads + h / c.group]) {
                for (const KvPick& pick : run.picks)
                    for (std::size_t k = 0; k < kLeafTokens; ++k) {
                        if ((pick.tokens >> k & 1) == 0) continue;
                        add(
                            [&](std::size_t i) {
                                return of.key(pick, d, std::to_integer<int>(pick.rows[k * d + i]), i);
                            },
                            [&](std::size_t i) { return of.value(pick.rows, k, i); }, 0, pick.leaf);
                    }
                for (const KvRest& rest : run.rest) {
                    const double left = 16 - std::popcount(rest.read.tokens);
                    const auto less = [&](double mean, const auto& of16) {
                        double sum = 16 * mean;
                        for (std::size_t k = 0; k < kLeafTokens; ++k)
                            if ((rest.read.tokens >> k & 1) != 0) sum -= of16(k);
                        return sum / left;
                    };
                    const auto step = static_cast<double>(f16ToF32(*rest.valueStep));
                    add(
                        [&](std::size_t i) {
                            return less(of.key(rest.read, d, rest.key[i], i), [&](std::size_t k) {
                                return of.key(rest.read, d, std::to_integer<int>(rest.read.rows[k * d + i]), i);
                            });
                        },
                        [&](std::size_t i) {
                            return less(step * rest.value[i],
                                        [&](std::size_t k) { return of.value(rest.read.rows, k, i); });
                        },
                        std::log(left), SIZE_MAX);
                }
                if (!run.picks.empty() || !run.rest.empty()) continue;
                for (std::size_t k = 0; k < run.tokens && run.first + k <= c.position[t]; ++k)
                    add([&](std::size_t i) { return static_cast<double>(f16ToF32(run.keys[k * d + i])); },
                        [&](std::size_t i) { return static_cast<double>(f16ToF32(run.values[k * d + i])); }, 0,
                        (run.first + k) / kLeafTokens);
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
