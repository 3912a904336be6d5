#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "compute/registry.h"

namespace carrel {

/// Keys of one layer and their sketch, built here so that the encoder and the judge are not tested by each other; and
/// queries, in doubles what the definition says of them. A few keys stand out for every head, as in real attention.
struct JudgeCase {
    std::size_t nTokens, nKvHeads, group, headDim, groups, chunkTokens = 16;
    float scale = 0.125f;
    std::vector<std::vector<float>> keys;  // [nKvHeads][tokens, headDim]
    std::vector<std::vector<std::byte>> codes, keyMeans;
    std::vector<std::vector<std::uint16_t>> bounds;
    std::vector<float> q, exact;

    std::size_t nHeads() const { return nKvHeads * group; }
    std::size_t tokens() const { return groups * kGroupTokens; }
    std::size_t leaves() const { return groups * kGroupLeaves; }
    const float* query(std::size_t token, std::size_t head) const {
        return q.data() + (token * nHeads() + head) * headDim;
    }

    JudgeCase(std::size_t nTokens_, std::size_t nKvHeads_, std::size_t group_, std::size_t headDim_,
              std::size_t groups_, std::size_t chunkTokens_ = 16)
        : nTokens(nTokens_),
          nKvHeads(nKvHeads_),
          group(group_),
          headDim(headDim_),
          groups(groups_),
          chunkTokens(chunkTokens_) {
        std::mt19937 random(static_cast<unsigned>(nTokens * 131 + nKvHeads * 17 + headDim + groups));
        std::normal_distribution<float> normal;
        scale = 1 / std::sqrt(static_cast<float>(headDim));
        std::vector<float> spread(headDim);
        for (float& s : spread) s = std::exp(0.7f * normal(random));
        q.resize(nTokens * nHeads() * headDim);
        for (std::size_t i = 0; i < q.size(); ++i) q[i] = normal(random) / std::sqrt(spread[i % headDim]);
        exact.resize(nTokens * nHeads());
        for (float& e : exact) e = 5 + normal(random);
        for (std::size_t h = 0; h < nKvHeads; ++h) {
            std::vector<float>& to = keys.emplace_back(tokens() * headDim);
            for (std::size_t t = 0; t < tokens(); ++t) {
                const float* likes =
                    random() % 16 == 0 ? query(random() % nTokens, h * group + random() % group) : nullptr;
                for (std::size_t d = 0; d < headDim; ++d)
                    to[t * headDim + d] = spread[d] * (normal(random) + (likes != nullptr ? 0.4f * likes[d] : 0) +
                                                       0.5f * static_cast<float>(d % 3));
            }
            build(h);
        }
    }

    std::vector<SketchView> sketch() const {
        std::vector<SketchView> out;
        for (std::size_t h = 0; h < nKvHeads; ++h)
            out.push_back({codes[h].data(), keyMeans[h].data(), nullptr, static_cast<std::uint32_t>(groups)});
        return out;
    }
    std::vector<const std::uint16_t*> boundRows() const {
        std::vector<const std::uint16_t*> out;
        for (const auto& of : bounds) out.push_back(of.data());
        return out;
    }

    float grid(std::size_t kvHead, std::size_t token, std::size_t d, bool step) const {
        const std::byte* group_ = codes[kvHead].data() + token / kGroupTokens * codesBytes(dim());
        std::uint16_t half;
        std::memcpy(&half, group_ + kGroupLeaves * planeLeafBytes(dim()) + 2 * (d + (step ? headDim : 0)), 2);
        return f16ToF32(half);
    }
    /// The high 2 bits of a key's code.
    unsigned code(std::size_t kvHead, std::size_t token, std::size_t d) const {
        const std::byte* plane = codes[kvHead].data() + token / kGroupTokens * codesBytes(dim()) +
                                 token % kGroupTokens / kLeafTokens * planeLeafBytes(dim());
        const auto byte = std::to_integer<unsigned>(plane[d / 16 * 64 + token % kLeafTokens * 4 + d % 4]);
        return byte >> (2 * (d % 16 / 4)) & 3;
    }
    double planeScore(std::size_t token, std::size_t head, std::size_t key) const {
        double sum = 0;
        for (std::size_t d = 0; d < headDim; ++d)
            sum += static_cast<double>(query(token, head)[d]) *
                   (grid(head / group, key, d, false) +
                    grid(head / group, key, d, true) * (64.0 * code(head / group, key, d) + 31.5));
        return scale * sum;
    }
    /// What rounding the query to 8 bits per group may change in that: half a step for every unit of code. `likely`:
    /// six standard deviations, as roundings of channels do not all go one way.
    double planeError(std::size_t token, std::size_t head, std::size_t key, bool likely = false) const {
        double most = 0, sum = 0, squares = 0;
        for (std::size_t d = 0; d < headDim; ++d) {
            most = std::max(most, std::fabs(64.0 * query(token, head)[d] * grid(head / group, key, d, true)));
            sum += code(head / group, key, d);
            squares += code(head / group, key, d) * code(head / group, key, d);
        }
        return scale * most / 127 * std::min(sum / 2, likely ? 6 * std::sqrt(squares / 12) : INFINITY) + 1e-3;
    }
    double keyScore(std::size_t token, std::size_t head, std::size_t key) const {
        double sum = 0;
        for (std::size_t d = 0; d < headDim; ++d)
            sum += static_cast<double>(query(token, head)[d]) * keys[head / group][key * headDim + d];
        return scale * sum;
    }

  private:
    std::uint32_t dim() const { return static_cast<std::uint32_t>(headDim); }

    void build(std::size_t h) {
        const std::vector<float>& k = keys[h];
        codes.emplace_back(groups * codesBytes(dim()));
        keyMeans.emplace_back(groups * keyMeansBytes(dim()));
        for (std::size_t g = 0; g < groups; ++g) {
            std::byte* to = codes[h].data() + g * codesBytes(dim());
            for (std::size_t d = 0; d < headDim; ++d) {
                float least = INFINITY, most = -INFINITY;
                for (std::size_t t = 0; t < kGroupTokens; ++t) {
                    least = std::min(least, k[(g * kGroupTokens + t) * headDim + d]);
                    most = std::max(most, k[(g * kGroupTokens + t) * headDim + d]);
                }
                const std::uint16_t halves[] = {f32ToF16(least), f32ToF16((most - least) / 255)};
                std::byte* at = to + kGroupLeaves * planeLeafBytes(dim());
                std::memcpy(at + 2 * d, &halves[0], 2);
                std::memcpy(at + 2 * (headDim + d), &halves[1], 2);
                unsigned sums[kGroupLeaves] = {};
                for (std::size_t t = 0; t < kGroupTokens; ++t) {
                    const float steps =
                        (k[(g * kGroupTokens + t) * headDim + d] - f16ToF32(halves[0])) / f16ToF32(halves[1]);
                    const auto full = static_cast<unsigned>(std::clamp(std::round(steps), 0.0f, 255.0f));
                    sums[t / kLeafTokens] += full;
                    std::byte& byte =
                        to[t / kLeafTokens * planeLeafBytes(dim()) + d / 16 * 64 + t % kLeafTokens * 4 + d % 4];
                    byte |= static_cast<std::byte>(full >> 6 << (2 * (d % 16 / 4)));
                }
                for (std::size_t leaf = 0; leaf < kGroupLeaves; ++leaf)
                    keyMeans[h][g * keyMeansBytes(dim()) + leaf * headDim + d] =
                        static_cast<std::byte>((sums[leaf] + 8) / 16);
            }
        }
        const std::size_t chunks = (tokens() + chunkTokens - 1) / chunkTokens;
        bounds.emplace_back(chunks * 2 * headDim);
        for (std::size_t c = 0; c < chunks; ++c)
            for (std::size_t d = 0; d < headDim; ++d) {
                float least = INFINITY, most = -INFINITY;
                for (std::size_t t = c * chunkTokens; t < std::min(tokens(), (c + 1) * chunkTokens); ++t) {
                    least = std::min(least, k[t * headDim + d]);
                    most = std::max(most, k[t * headDim + d]);
                }
                bounds[h][(2 * c) * headDim + d] = f32ToF16(least - std::fabs(least) / 1000);
                bounds[h][(2 * c + 1) * headDim + d] = f32ToF16(most + std::fabs(most) / 1000);
            }
    }
};

struct Judged {
    std::vector<std::uint16_t> chosen;  // [nTokens, nKvHeads, nLeaves]
    std::vector<float> share;           // [nTokens, nHeads]
    std::vector<float> rest, origin;    // [nTokens, nHeads, nLeaves], [nTokens, nHeads]; empty for MinMax
};

/// A vector's copy in a backend's memory.
template <class T>
class Held {
  public:
    Held(Backend& backend, std::vector<T>& values)
        : backend_(backend),
          values_(values),
          buffer_(*backend.allocate(values.size() * sizeof(T), MemoryKind::Device)) {
        backend.copyIn(data(), std::as_bytes(std::span(values)));
    }
    T* data() const { return buffer_.template as<T>(); }
    void read() { backend_.copyOut(std::as_writable_bytes(std::span(values_)), data()); }

  private:
    Backend& backend_;
    std::vector<T>& values_;
    Buffer buffer_;
};

/// A case in a backend's memory.
class HeldCase {
  public:
    HeldCase(Backend& backend, const JudgeCase& c) : backend_(backend), case_(c), q_(hold(c.q)), exact_(hold(c.exact)) {
        for (std::size_t h = 0; h < c.nKvHeads; ++h) {
            kept_.push_back(hold(c.codes[h]));
            kept_.push_back(hold(c.keyMeans[h]));
            sketch_.push_back({kept_[2 * h].as<std::byte>(), kept_[2 * h + 1].as<std::byte>(), nullptr,
                               static_cast<std::uint32_t>(c.groups)});
        }
        for (const auto& of : c.bounds) {
            kept_.push_back(hold(of));
            bounds_.push_back(kept_.back().as<std::uint16_t>());
        }
    }

    /// Queries [first, first + count) of the case.
    Judged judge(const SelectRule& rule, std::uint32_t firstLeaf, std::uint32_t endLeaf, std::size_t first,
                 std::size_t count, std::span<const std::uint8_t* const> lately = {}) {
        const JudgeCase& c = case_;
        const bool rests = rule.scorer != Scorer::MinMax;
        Judged out{std::vector<std::uint16_t>(count * c.nKvHeads * c.leaves(), 0xAAAA),
                   std::vector<float>(count * c.nHeads(), -7),
                   std::vector<float>(rests ? count * c.nHeads() * c.leaves() : 0, -7),
                   std::vector<float>(rests ? count * c.nHeads() : 0, -7)};
        Held chosen(backend_, out.chosen);
        Held share(backend_, out.share), rest(backend_, out.rest), origin(backend_, out.origin);
        JudgeArgs args;
        args.q = View<const float, 3>(q_.as<float>() + first * c.nHeads() * c.headDim, {count, c.nHeads(), c.headDim});
        args.sketch = sketch_;
        if (!rests) args.bounds = bounds_;
        args.first = firstLeaf;
        args.end = endLeaf;
        args.scale = c.scale;
        args.exact = View<const float, 2>(exact_.as<float>() + first * c.nHeads(), {count, c.nHeads()});
        args.lately = lately;
        args.rule = rule;
        args.chosen = {chosen.data(), {count, c.nKvHeads, c.leaves()}};
        args.share = {share.data(), {count, c.nHeads()}};
        if (rests) args.rest = {rest.data(), {count, c.nHeads(), c.leaves()}};
        if (rests) args.origin = {origin.data(), {count, c.nHeads()}};
        backend_.judge(args);
        chosen.read(), share.read(), rest.read(), origin.read();
        return out;
    }

  private:
    template <class T>
    Buffer hold(const std::vector<T>& values) {
        Buffer to = *backend_.allocate(values.size() * sizeof(T), MemoryKind::Device);
        backend_.copyIn(to.as<void>(), std::as_bytes(std::span(values)));
        return to;
    }
    Backend& backend_;
    const JudgeCase& case_;
    Buffer q_, exact_;
    std::vector<Buffer> kept_;
    std::vector<SketchView> sketch_;
    std::vector<const std::uint16_t*> bounds_;
};

inline Judged judge(Backend& backend, const JudgeCase& c, const SelectRule& rule, std::uint32_t firstLeaf,
                    std::uint32_t endLeaf, std::size_t first, std::size_t count,
                    std::span<const std::uint8_t* const> lately = {}) {
    return HeldCase(backend, c).judge(rule, firstLeaf, endLeaf, first, count, lately);
}
inline bool isChosen(const JudgeCase& c, const Judged& got, std::size_t token, std::size_t kvHead, std::size_t key) {
    return (got.chosen[(token * c.nKvHeads + kvHead) * c.leaves() + key / kLeafTokens] >> (key % kLeafTokens) & 1) != 0;
}

}  // namespace carrel
