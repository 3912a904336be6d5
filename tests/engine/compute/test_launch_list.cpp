#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <vector>

#include "compute/backend.h"
#include "cushim/cushim.h"
#include "cushim/emulated.h"

// What the CUDA backend makes of operations that recur, by the emulation's count of calls.

using namespace carrel;

namespace {

std::uint64_t calls() {
    return cushim::stats().launchCalls;
}
std::uint64_t kernels() {
    return cushim::stats().launches;
}

/// What a layer has between two attentions, on workspaces of its own.
class Layer {
  public:
    static constexpr std::size_t kDim = 64, kMostRows = 24;
    static constexpr std::uint64_t kKernels = 9;  // 2 norms, 3 roundings to 8 bits, 3 products, 1 gate

    explicit Layer(Backend& backend) : backend_(backend) {
        for (Buffer* buffer : {&x_, &normed_, &gate_, &up_}) {
            auto made = backend.allocate(kMostRows * kDim * sizeof(float));
            REQUIRE(made);
            *buffer = std::move(*made);
        }
        auto norm = backend.allocate(kDim * sizeof(float));
        REQUIRE(norm);
        norm_ = std::move(*norm);
        copyIn(norm_, 3, kDim);
        std::vector<std::byte> raw(kDim * kDim / 32 * 34);
        std::mt19937 random(5);
        for (std::size_t at = 0; at < raw.size(); at += 34) {
            raw[at] = std::byte{0}, raw[at + 1] = std::byte{0x1c};  // 2^-8
            for (std::size_t i = 2; i < 34; ++i) raw[at + i] = static_cast<std::byte>(random());
        }
        for (auto* weight : {&first_, &second_, &third_}) {
            auto made = backend.loadWeight(DType::Q8_0, kDim, kDim, raw);
            REQUIRE(made);
            *weight = std::move(*made);
        }
    }

    /// So that memory which grows, and what is held goes before that, has grown.
    void warmUp() {
        fill(0, kMostRows);
        enqueue(kMostRows);
        backend_.settle();
    }
    /// New numbers go in.
    void fill(unsigned seed, std::size_t rows = 1) { copyIn(x_, seed, rows * kDim); }
    void enqueue(std::size_t rows = 1) {
        norm(x_, normed_, rows);
        multiply(normed_, *first_, gate_, rows);
        multiply(normed_, *second_, up_, rows);
        backend_.swiglu(view(gate_, rows), constView(up_, rows));
        multiply(gate_, *third_, normed_, rows);
        norm(normed_, x_, rows);
    }
    std::vector<float> result(std::size_t rows = 1) const {
        std::vector<float> out(rows * kDim);
        backend_.copyOut(std::as_writable_bytes(std::span(out)), x_.as<const void>());
        return out;
    }

  private:
    View<float, 2> view(const Buffer& of, std::size_t rows) const { return {of.as<float>(), {rows, kDim}}; }
    View<const float, 2> constView(const Buffer& of, std::size_t rows) const {
        return {of.as<const float>(), {rows, kDim}};
    }
    void norm(const Buffer& from, const Buffer& to, std::size_t rows) {
        backend_.rmsNorm(constView(from, rows), norm_.as<const float>(), 1e-6f, view(to, rows));
    }
    void multiply(const Buffer& from, const Weight& by, const Buffer& to, std::size_t rows) {
        const MatmulTarget target{&by, nullptr, view(to, rows), false};
        backend_.matmul(constView(from, rows), {&target, 1});
    }
    void copyIn(const Buffer& to, unsigned seed, std::size_t count) {
        std::mt19937 random(seed);
        std::normal_distribution<float> normal;
        std::vector<float> values(count);
        for (float& v : values) v = normal(random);
        backend_.copyIn(to.as<void>(), std::as_bytes(std::span(values)));
    }

    Backend& backend_;
    Buffer x_, normed_, gate_, up_, norm_;
    std::unique_ptr<Weight> first_, second_, third_;
};

/// Of a backend that has not seen the layer before.
std::vector<float> resultOf(unsigned seed) {
    const auto backend = cushim::makeEmulatedBackend();
    REQUIRE(backend);
    Layer layer(**backend);
    layer.fill(seed);
    layer.enqueue();
    return layer.result();
}

}  // namespace

TEST_CASE("Operations that recur with the same arguments are one call from the second time on, with the same results") {
    const auto backend = cushim::makeEmulatedBackend();
    REQUIRE(backend);
    Layer layer(**backend), another(**backend);
    layer.warmUp();
    for (unsigned step = 0; step < 5; ++step)
        for (Layer* each : {&layer, &another}) {
            each->fill(step);
            const std::uint64_t before = calls(), ran = kernels();
            each->enqueue();
            CHECK(calls() == before);
            const auto result = each->result();
            INFO("step ", step);
            CHECK(calls() - before == (step == 0 ? Layer::kKernels : 1));
            CHECK(kernels() - ran == Layer::kKernels);
            CHECK(result == resultOf(step));
        }
}

TEST_CASE("Each number of rows is a list of its own, and products of many rows go at once") {
    const auto backend = cushim::makeEmulatedBackend();
    REQUIRE(backend);
    Layer layer(**backend);
    layer.warmUp();
    for (const std::size_t rows : {std::size_t{1}, std::size_t{3}, Layer::kMostRows})
        for (int step = 0; step < 3; ++step) {
            layer.fill(7, rows);
            const std::uint64_t before = calls();
            layer.enqueue(rows);
            const bool many = rows == Layer::kMostRows;
            CHECK(calls() - before == (many ? Layer::kKernels - 1 : 0));  // but for the last, a norm
            const auto result = layer.result(rows);
            CHECK(calls() - before == (many || step == 0 ? Layer::kKernels : 1));
            CHECK(std::vector(result.begin(), result.begin() + Layer::kDim) == resultOf(7));
        }
}

TEST_CASE("Few rows that were held come before many") {
    const auto backend = cushim::makeEmulatedBackend();
    REQUIRE(backend);
    Layer layer(**backend);
    layer.fill(8, Layer::kMostRows);
    layer.enqueue(1);
    layer.enqueue(Layer::kMostRows);
    const auto together = layer.result(Layer::kMostRows);
    layer.fill(8, Layer::kMostRows);
    layer.enqueue(1);
    (*backend)->settle();
    layer.enqueue(Layer::kMostRows);
    CHECK(together == layer.result(Layer::kMostRows));
}

TEST_CASE("Memory that is freed and given anew has the results of what is in it now") {
    const auto backend = cushim::makeEmulatedBackend();
    REQUIRE(backend);
    for (unsigned step = 0; step < 4; ++step) {
        Layer layer(**backend);
        for (int again = 0; again < 3; ++again) {
            layer.fill(step);
            layer.enqueue();
            CHECK(layer.result() == resultOf(step));
        }
    }
}

TEST_CASE("There are only so many graphs, and those used last stay") {
    const std::uint64_t before = cushim::stats().graphs;
    {
        const auto backend = cushim::makeEmulatedBackend();
        REQUIRE(backend);
        std::vector<Layer> layers;
        layers.reserve(300);
        for (int i = 0; i < 300; ++i) layers.emplace_back(**backend);
        for (int step = 0; step < 2; ++step)
            for (Layer& layer : layers)
                for (int again = 0; again < 2; ++again) {
                    layer.fill(1);
                    layer.enqueue();
                    (*backend)->settle();
                }
        CHECK(cushim::stats().graphs - before == 256);
        for (Layer* each : {&layers.back(), &layers.front()}) {
            each->fill(2);
            const std::uint64_t called = calls();
            each->enqueue();
            const auto result = each->result();
            CHECK(calls() - called == (each == &layers.back() ? 1 : Layer::kKernels));
            CHECK(result == resultOf(2));
        }
    }
    CHECK(cushim::stats().graphs == before);
}
