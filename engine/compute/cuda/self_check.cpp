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
        if (failed_) return *failed_;
        return std::move(rows_);
    }

  private:
    static constexpr std::size_t kRows = 3, kDim = 320;

    void rowOperations() {
        const auto weight = put(numbers_.values(kDim));
        const auto out = put(numbers_.values(kRows * kDim)), x = put(numbers_.values(kRows * kDim));
        if (failed_) return;
        const View<const float, 2> from(x.as<const float>(), {kRows, kDim});
        const View<float, 2> to(out.as<float>(), {kRows, kDim});
        backend_.addRmsNorm(from, weight.as<const float>(), 1e-6f, to);
        note("addRmsNorm", out);
        backend_.rmsNorm(from, weight.as<const float>(), 1e-6f, to);
        note("rmsNorm", out);
        backend_.swiglu(to, from);
        note("swiglu", out);
        backend_.geglu(to, from);
        note("geglu", out);
        const std::uint32_t position[kRows] = {0, 77, 31000};
        // Powers of two: what the host's own cosine makes of them does not hang by a bit.
        std::vector<float> frequency(32);
        for (std::size_t j = 0; j < frequency.size(); ++j) frequency[j] = std::ldexp(1.0f, -static_cast<int>(j) / 2);
        const View<float, 3> heads(x.as<float>(), {kRows, kDim / 64, 64});
        backend_.rope(heads, position, frequency, RopeStyle::Neox);
        note("rope, halves", x);
        backend_.rope(heads, position, frequency, RopeStyle::Interleaved);
        note("rope, neighbours", x);
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

    Buffer put(const std::vector<float>& values) {
        if (failed_) return {};
        auto made = backend_.allocate(values.size() * sizeof(float));
        if (!made) return fail(made.error()), Buffer{};
        backend_.copyIn(made->as<void>(), std::as_bytes(std::span(values)));
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
