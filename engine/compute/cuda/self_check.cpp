#include "compute/cuda/self_check.h"

#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>

namespace carrel {

namespace {

constexpr DType kTypes[] = {DType::F32,  DType::F16,  DType::BF16, DType::Q8_0,   DType::Q4_0,
                            DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q2_K,   DType::Q3_K,
                            DType::Q4_K, DType::Q5_K, DType::Q6_K, DType::IQ4_NL, DType::IQ4_XS};

// Of the emulation; test_self_check.cpp prints them anew.
struct Expected {
    std::string_view operation;
    std::uint64_t hash;
};
constexpr Expected kExpected[] = {
#include "compute/cuda/self_check_hashes.inc"
};

std::uint64_t expectedOf(std::string_view operation) {
    for (const Expected& e : kExpected)
        if (e.operation == operation) return e.hash;
    return 0;
}

std::uint64_t hashOf(std::span<const std::byte> bytes) {  // FNV-1a
    std::uint64_t hash = 14695981039346656037u;
    for (const std::byte b : bytes) hash = (hash ^ static_cast<std::uint64_t>(b)) * 1099511628211u;
    return hash;
}

/// Numbers that are the same everywhere.
class Numbers {
  public:
    std::uint32_t next() {
        return static_cast<std::uint32_t>((state_ = state_ * 6364136223846793005u + 1442695040888963407u) >> 33);
    }
    float value() { return (static_cast<float>(next() & 0xffff) - 32768.0f) / 16384.0f; }  // -2 to 2, exact
    std::vector<float> values(std::size_t count) {
        std::vector<float> out(count);
        for (float& v : out) v = value();
        return out;
    }
    std::vector<float> squares(std::size_t count) {
        std::vector<float> out(count);
        for (float& v : out) v = value(), v = v * v;
        return out;
    }
    /// A weight's bytes: any quants, small factors.
    std::vector<std::byte> weight(DType type, std::size_t rows, std::size_t cols) {
        const DTypeInfo info = *dtypeInfo(static_cast<std::uint32_t>(type));
        std::vector<std::byte> raw(rows * cols / info.blockElements * info.blockBytes);
        for (std::byte& b : raw) b = static_cast<std::byte>(next());
        const std::size_t d = type == DType::Q6_K ? 208 : type == DType::Q3_K ? 108 : type == DType::Q2_K ? 80 : 0;
        for (std::size_t at = 0; at < raw.size(); at += info.blockBytes) {
            if (type == DType::F32) {
                const float v = value();
                std::memcpy(raw.data() + at, &v, sizeof v);
            } else if (type == DType::BF16) {
                raw[at + 1] = static_cast<std::byte>((next() & 0x80) | 0x3c);
            } else {
                putHalf(raw.data() + at + d);
                if (quantOffset(type) == 0 && type != DType::F16) putHalf(raw.data() + at + d + 2);
            }
        }
        return raw;
    }
    /// Any bytes, and then small halves.
    std::vector<std::byte> withHalves(std::size_t bytes, std::size_t halves) {
        std::vector<std::byte> out(bytes + 2 * halves);
        for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<std::byte>(next());
        for (std::size_t i = 0; i < halves; ++i) putHalf(out.data() + bytes + 2 * i);
        return out;
    }

  private:
    void putHalf(std::byte* to) {
        const std::uint16_t h = f32ToF16(value() / 64);
        std::memcpy(to, &h, sizeof h);
    }
    std::uint64_t state_ = 1;
};

class Check {
  public:
    explicit Check(Backend& backend) : backend_(backend) {}

    Result<std::vector<SelfCheckRow>> run() {
        rowOperations();
        for (const DType type : kTypes) weights(type);
        for (const KvCodec codec : {KvCodec::K8V8, KvCodec::K8V6, KvCodec::K8V4}) codecs(codec, 80);
        for (const std::uint32_t headDim : {64u, 256u}) attention(headDim);
        judges();
        lastOperations();
        if (failed_) return *failed_;
        return std::move(rows_);
    }

  private:
    static constexpr std::size_t kRows = 3, kDim = 320;

    /// Numbers are drawn behind those of the operations that were there before.
    void lastOperations() {
        const auto x = put(numbers_.values(kRows * kDim));
        const auto places = put(std::vector<std::int32_t>(kRows)), copied = put(std::vector<float>(kRows * kDim));
        if (failed_) return;
        backend_.argmax({x.as<const float>(), {kRows, kDim}}, places.as<std::int32_t>());
        note("argmax", places);
        constexpr std::size_t kBytes = kDim * sizeof(float);
        const CopyPiece pieces[] = {{copied.as<void>(), x.as<void>(), kBytes},
                                    {copied.as<void>(kBytes), nullptr, kBytes + 2},
                                    {copied.as<void>(2 * kBytes + 2), x.as<void>(6), kBytes - 2}};
        backend_.copy(pieces);
        note("copy", copied);
    }
    void rowOperations() {
        const auto weight = put(numbers_.values(kDim));
        const auto before = numbers_.values(kRows * kDim);
        const auto x = put(numbers_.values(kRows * kDim));
        const auto out = put(before);
        if (failed_) return;
        const View<const float, 2> from(x.as<const float>(), {kRows, kDim});
        const View<float, 2> to(out.as<float>(), {kRows, kDim});
        // What one operation makes is not the next one's input: a wrong one is to be the only one that is named.
        const auto anew = [&] { backend_.copyIn(out.as<void>(), std::as_bytes(std::span(before))); };
        backend_.addRmsNorm(from, weight.as<const float>(), 1e-6f, to);
        note("addRmsNorm", out);
        backend_.rmsNorm(from, weight.as<const float>(), 1e-6f, to);
        note("rmsNorm", out);
        anew();
        backend_.swiglu(to, from);
        note("swiglu", out);
        anew();
        backend_.geglu(to, from);
        note("geglu", out);
        const std::uint32_t position[kRows] = {0, 77, 31000};
        // Powers of two: what the host's own cosine makes of them does not hang by a bit.
        std::vector<float> frequency(32);
        for (std::size_t j = 0; j < frequency.size(); ++j) frequency[j] = std::ldexp(1.0f, -static_cast<int>(j) / 2);
        for (const auto& [name, style] :
             {std::pair{"rope, halves", RopeStyle::Neox}, {"rope, neighbours", RopeStyle::Interleaved}}) {
            anew();
            backend_.rope({out.as<float>(), {kRows, kDim / 64, 64}}, position, frequency, style);
            note(name, out);
        }
        anew();
        std::uint16_t* const rows[kRows] = {out.as<std::uint16_t>(), out.as<std::uint16_t>() + kDim,
                                            out.as<std::uint16_t>() + 2 * kDim};
        backend_.storeF16(from, rows);
        note("storeF16", out);
    }

    void weights(DType type) {
        constexpr std::size_t kOutputs = 45, kCols = 768, kMany = 37;
        const std::string name(dtypeInfo(static_cast<std::uint32_t>(type))->name);
        const auto made = backend_.loadWeight(type, kOutputs, kCols, numbers_.weight(type, kOutputs, kCols));
        if (!made) return fail(made.error());
        const auto x = put(numbers_.values(kMany * kCols)), out = put(std::vector<float>(kMany * kOutputs));
        const auto rows = put(std::vector<float>(2 * kCols));
        if (failed_) return;
        const std::int32_t ids[] = {44, 3};
        backend_.embed(**made, ids, {rows.as<float>(), {2, kCols}});
        note("embed " + name, rows);
        for (const std::size_t n : {std::size_t{1}, std::size_t{6}, kMany}) {
            const MatmulTarget target{made->get(), nullptr, {out.as<float>(), {n, kOutputs}}, false};
            backend_.matmul({x.as<const float>(), {n, kCols}}, {&target, 1});
            note("matmul " + name + " of " + std::to_string(n), out);
        }
    }

    /// Groups of 64 tokens, f16 and encoded, and their leaves as rows.
    struct Groups {
        std::uint32_t headDim;
        Buffer keys, values, payload, codes, means, rows;
    };
    Groups encoded(KvCodec codec, std::uint32_t headDim, std::size_t count) {
        const auto halves = [&] {
            std::vector<std::uint16_t> out(count * kGroupTokens * headDim);
            for (std::uint16_t& h : out) h = f32ToF16(numbers_.value());
            return put(out);
        };
        const auto zeros = [&](std::size_t bytes) { return put(std::vector<std::byte>(count * bytes)); };
        Groups g{headDim,
                 halves(),
                 halves(),
                 zeros(payloadBytes(codec, headDim)),
                 zeros(codesBytes(headDim)),
                 zeros(meansBytes(headDim)),
                 zeros(kGroupLeaves * rowsBytes(headDim))};
        if (failed_) return g;
        std::vector<EncodeGroup> groups;
        std::vector<UnpackLeaf> leaves;
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t first = i * kGroupTokens * headDim * sizeof(std::uint16_t);
            groups.push_back({g.keys.as<std::uint16_t>(first), g.values.as<std::uint16_t>(first),
                              g.payload.as<std::byte>(i * payloadBytes(codec, headDim)),
                              g.codes.as<std::byte>(i * codesBytes(headDim)),
                              g.means.as<std::byte>(i * meansBytes(headDim))});
            for (std::uint32_t leaf = 0; leaf < kGroupLeaves; ++leaf)
                leaves.push_back(packedLeaf(codec, headDim, groups[i].payload, groups[i].codes, leaf,
                                            g.rows.as<std::byte>((kGroupLeaves * i + leaf) * rowsBytes(headDim))));
        }
        backend_.encode(codec, headDim, groups);
        backend_.unpack(codec, headDim, leaves);
        return g;
    }

    void codecs(KvCodec codec, std::uint32_t headDim) {
        const Groups g = encoded(codec, headDim, 2);
        if (failed_) return;
        const std::string name(codecName(codec));
        note("encode " + name + ", payload", g.payload);
        note("encode " + name + ", codes", g.codes);
        note("encode " + name + ", means", g.means);
        note("unpack " + name, g.rows);
    }

    /// Whole leaves, chosen tokens, rests and f16, of one token and of many.
    void attention(std::uint32_t headDim) {
        constexpr std::size_t kMany = 9, kHeads = 3, kLeaves = 3 * kGroupLeaves, kFirst = 2 * kGroupTokens;
        const Groups g = encoded(KvCodec::K8V4, headDim, 3);
        const auto q = put(numbers_.values(kMany * kHeads * headDim)),
                   weight = put(numbers_.squares(kMany * kHeads * kLeaves)),
                   origin = put(numbers_.values(kMany * kHeads));
        const Buffer out = put(std::vector<float>(kMany * kHeads * headDim)),
                     logSumExp = put(std::vector<float>(kMany * kHeads)),
                     mass = put(std::vector<float>(kMany * kHeads * kLeaves));
        if (failed_) return;
        const auto pick = [&](std::uint32_t leaf, std::uint16_t tokens) {
            const std::size_t grid = leaf / kGroupLeaves * codesBytes(headDim) + kGroupLeaves * planeLeafBytes(headDim);
            return KvPick{g.rows.as<std::byte>(leaf * rowsBytes(headDim)), g.codes.as<std::uint16_t>(grid), leaf,
                          tokens};
        };
        const KvPick whole[] = {pick(0, 0xffff), pick(1, 0xffff), pick(2, 0xffff), pick(3, 0xffff)},
                     some[] = {pick(4, 0x8001), pick(6, 0x0ff0)};
        const KvRun runs[] = {{.first = 0, .tokens = kGroupTokens, .picks = whole},
                              {.first = kGroupTokens, .tokens = 10, .picks = some},
                              {.keys = g.keys.as<std::uint16_t>(kFirst * headDim * sizeof(std::uint16_t)),
                               .values = g.values.as<std::uint16_t>(kFirst * headDim * sizeof(std::uint16_t)),
                               .first = kFirst,
                               .tokens = 41},
                              {.first = kGroupTokens,
                               .tokens = kGroupLeaves,
                               .rest = g.means.as<std::byte>(meansBytes(headDim) + keyMeansBytes(headDim))}};
        const std::span<const KvRun> all = runs;
        const std::vector<std::uint32_t> sequence(kMany, 0);
        std::vector<std::uint32_t> position;
        for (std::uint32_t t = 0; t < kMany; ++t) position.push_back(kFirst + 40 - t);
        for (const std::size_t n : {std::size_t{1}, kMany}) {
            AttendArgs a;
            a.q = {q.as<const float>(), {n, kHeads, headDim}};
            a.position = std::span(position).first(n);
            a.sequence = std::span(sequence).first(n);
            a.runs = {&all, 1};
            a.nKvHeads = 1;
            a.scale = 0.125f;
            a.out = {out.as<float>(), {n, kHeads, headDim}};
            a.logSumExp = {logSumExp.as<float>(), {n, kHeads}};
            a.mass = {mass.as<float>(), {n, kHeads, kLeaves}};
            a.weight = {weight.as<const float>(), {n, kHeads, kLeaves}};
            a.origin = {origin.as<const float>(), {n, kHeads}};
            backend_.attend(a);
            const std::string name = "attend " + std::to_string(headDim) + " of " + std::to_string(n);
            note(name, out);
            note(name + ", logarithm", logSumExp);
            note(name + ", mass", mass);
        }
    }

    void judges() {
        constexpr std::size_t kTokens = 2, kKvHeads = 2, kHeads = 6, kHeadDim = 80, kGroups = 5;
        constexpr std::size_t kLeaves = kGroups * kGroupLeaves, kChosen = kTokens * kKvHeads * kLeaves,
                              kAll = kTokens * kHeads;
        const auto q = put(numbers_.values(kAll * kHeadDim)), exact = put(numbers_.values(kAll));
        std::vector<Buffer> kept;
        std::vector<SketchView> sketch;
        std::vector<const std::uint16_t*> bounds;
        for (std::size_t head = 0; head < kKvHeads; ++head) {
            std::vector<std::byte> codes;
            for (std::size_t g = 0; g < kGroups; ++g) {
                const auto group = numbers_.withHalves(kGroupLeaves * planeLeafBytes(kHeadDim), 2 * kHeadDim);
                codes.insert(codes.end(), group.begin(), group.end());
            }
            kept.push_back(put(codes));
            kept.push_back(put(numbers_.withHalves(kGroups * keyMeansBytes(kHeadDim), 0)));
            sketch.push_back({kept[kept.size() - 2].as<std::byte>(), kept.back().as<std::byte>(), nullptr, kGroups});
            kept.push_back(put(numbers_.withHalves(0, kLeaves * kHeadDim)));  // of chunks of 32 tokens
            bounds.push_back(kept.back().as<std::uint16_t>());
        }
        const auto lately = numbers_.withHalves(kKvHeads * kLeaves, 0);
        std::vector<std::uint8_t> known;
        for (const std::byte b : lately) known.push_back(static_cast<std::uint8_t>(b) % 2);
        const std::uint8_t* const history[kTokens] = {known.data(), nullptr};
        const auto judged = [&](std::string_view how, const SelectRule& rule) {
            const Buffer out = put(std::vector<float>(kChosen / 2 + kAll * (kLeaves + 2)));
            if (failed_) return;
            auto* const floats = out.as<float>(kChosen * sizeof(std::uint16_t));
            JudgeArgs a;
            a.q = {q.as<const float>(), {kTokens, kHeads, kHeadDim}};
            a.sketch = sketch;
            if (rule.scorer == Scorer::MinMax) a.bounds = bounds;
            a.first = 1;
            a.end = kLeaves - 2;
            a.scale = rule.scorer == Scorer::MinMax ? 8.0f : 0.125f;  // small bounds, too, are to differ
            a.exact = {exact.as<const float>(), {kTokens, kHeads}};
            a.lately = history;
            a.rule = rule;
            a.chosen = {out.as<std::uint16_t>(), {kTokens, kKvHeads, kLeaves}};
            a.share = {floats, {kTokens, kHeads}};
            if (rule.scorer != Scorer::MinMax) {
                a.origin = {floats + kAll, {kTokens, kHeads}};
                a.rest = {floats + 2 * kAll, {kTokens, kHeads, kLeaves}};
            }
            backend_.judge(a);
            note("judge, " + std::string(how), out);
        };
        judged("tokens", {.tokenShare = 0x1p-8f, .leafShare = 0x1p-6f, .newLeafShare = 0x1p-4f});
        judged("leaves", {.leafShare = 0x1p-6f, .wholeLeaves = true, .cap = 64});
        judged("a cap", {.cap = 37});
        judged("means", {.scorer = Scorer::Means, .cap = 64});
        judged("bounds", {.scorer = Scorer::MinMax, .cap = 128, .chunkTokens = 32});
        judged("bounds, a layer", {.scorer = Scorer::MinMax, .cap = 100, .layerChoice = true, .chunkTokens = 32});
    }

    template <class T>
    Buffer put(const std::vector<T>& values) {
        if (failed_) return {};
        auto made = backend_.allocate(values.size() * sizeof(T));
        if (!made) return fail(made.error()), Buffer{};
        backend_.copyIn(made->template as<void>(), std::as_bytes(std::span(values)));
        return std::move(*made);
    }
    void note(std::string operation, const Buffer& of) {
        std::vector<std::byte> bytes(of.bytes());
        backend_.copyOut(bytes, of.as<const void>());
        if (const auto done = backend_.wait(backend_.record()); !done) fail(done.error());
        const std::uint64_t expected = expectedOf(operation);
        rows_.push_back({std::move(operation), hashOf(bytes), expected});
    }
    void fail(const Error& error) {
        if (!failed_) failed_ = error;
    }

    Backend& backend_;
    Numbers numbers_;
    std::vector<SelfCheckRow> rows_;
    std::optional<Error> failed_;
};

}  // namespace

Result<std::vector<SelfCheckRow>> selfCheck(Backend& backend) {
    return Check(backend).run();
}

}  // namespace carrel
