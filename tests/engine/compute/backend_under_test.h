#pragma once

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string_view>
#include <vector>

#include "compute/cuda/loader.h"
#include "compute/registry.h"
#if defined(CARREL_CUSHIM)
#include "cushim/emulated.h"
#endif

namespace carrel {

/// CARREL_ISA=cushim: the CUDA backend, its kernels on the CPU, which takes a thousand times as long.
inline bool emulated() {
    const char* isa = std::getenv("CARREL_ISA");
    return isa != nullptr && std::string_view(isa) == "cushim";
}

/// cuda: the plugin's backend on a GPU.
inline Result<std::unique_ptr<Backend>> makeBackend(unsigned threads) {
    if (const char* isa = std::getenv("CARREL_ISA"); isa != nullptr && std::string_view(isa) == "cuda") {
        auto made = loadCudaBackend(cudaPluginFor(std::filesystem::read_symlink("/proc/self/exe")), threads);
        if (made) return made;
        return Error{made.error().code, "cuda",
                     made.error().detail + " The kernels that nvcc made were NOT exercised."};
    }
    if (!emulated()) return makeCpuBackend("", threads);
#if defined(CARREL_CUSHIM)
    return cushim::makeEmulatedBackend();
#else
    return Error{Code::Unsupported, "cushim", "this test was built without the CUDA backend"};
#endif
}

/// What a test goes through; emulated, where all of it would take minutes, a part.
template <class T>
std::vector<T> among(std::vector<T> all, std::vector<T> ofEmulated) {
    return emulated() ? ofEmulated : all;
}

/// The backend that CARREL_ISA asks for.
inline std::unique_ptr<Backend> backendUnderTest(unsigned threads = 2) {
    auto made = makeBackend(threads);
    REQUIRE(made);
    return std::move(*made);
}

/// Memory that a backend works on, with something in it.
template <class T>
class Shared {
  public:
    Shared(Backend& backend, const std::vector<T>& values) : Shared(backend, values.data(), values.size()) {}
    Shared(Backend& backend, const T* values, std::size_t count) : backend_(backend), count_(count) {
        auto made = backend.allocate(count * sizeof(T), MemoryKind::Device);
        REQUIRE(made);
        buffer_ = std::move(*made);
        backend.copyIn(data(), std::as_bytes(std::span(values, count)));
    }
    Shared(Backend& backend, std::size_t count) : Shared(backend, std::vector<T>(count)) {}
    T* data() const { return buffer_.template as<T>(); }
    std::size_t size() const { return count_; }
    /// After all that was enqueued before.
    std::vector<T> read() const {
        std::vector<T> out(count_);
        backend_.copyOut(std::as_writable_bytes(std::span(out)), data());
        return out;
    }

  private:
    Backend& backend_;
    std::size_t count_;
    Buffer buffer_;
};

/// Copies of a test's own memory for a backend to work on, where it can.
class Mirror {
  public:
    explicit Mirror(Backend& backend) : backend_(backend) {}

    /// Where the copy lies.
    template <class T>
    T* add(std::vector<T>& of) {
        add(std::as_const(of));
        copies_.at(of.data()).back = of.data();
        return at(of.data());
    }
    template <class T>
    const T* add(const std::vector<T>& of) {
        const auto bytes = std::as_bytes(std::span(of));
        copies_.erase(of.data());
        copies_.emplace(of.data(), Copy{nullptr, Shared<std::byte>(backend_, bytes.data(), bytes.size())});
        return at(of.data());
    }
    /// Where what lies at p, in something that was added, has its copy.
    template <class T>
    T* at(T* p) const {
        const auto after = copies_.upper_bound(p);
        if (p == nullptr || after == copies_.begin()) return nullptr;
        const auto& [from, copy] = *std::prev(after);
        const auto offset = reinterpret_cast<const std::byte*>(p) - static_cast<const std::byte*>(from);
        REQUIRE(static_cast<std::size_t>(offset) <= copy.memory.size());
        return reinterpret_cast<T*>(copy.memory.data() + offset);
    }
    /// What is now where they are from, to the copies once more.
    void write() const {
        for (const auto& [from, copy] : copies_)
            if (copy.back != nullptr)
                backend_.copyIn(copy.memory.data(), {static_cast<const std::byte*>(from), copy.memory.size()});
    }
    /// What is in the copies now, back to where they are from.
    void read() const {
        for (const auto& [from, copy] : copies_)
            if (copy.back != nullptr) std::ranges::copy(copy.memory.read(), static_cast<std::byte*>(copy.back));
    }

  private:
    struct Copy {
        void* back;  // null: never
        Shared<std::byte> memory;
    };
    Backend& backend_;
    std::map<const void*, Copy> copies_;
};

inline std::vector<float> randomFloats(unsigned seed, std::size_t count, float spread = 1) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> out(count);
    for (float& value : out) value = normal(random);
    return out;
}

inline bool sameBits(const float* a, const float* b, std::size_t count) {
    return count == 0 || std::memcmp(a, b, count * sizeof(float)) == 0;
}

}  // namespace carrel

int main(int argc, char** argv) {
    if (const auto made = carrel::makeBackend(1); !made) {
        std::printf("skipped: %s: %s\n", made.error().where.c_str(), made.error().detail.c_str());
        return 77;
    }
    return doctest::Context(argc, argv).run();
}
