#include "cushim/cushim.h"
#include "engine/transformer/tiny_fixture.h"

// How often decoding calls CUDA, by the emulation's count.

using namespace carrel;

namespace {

/// Logits of the last of ids.
std::vector<float> next(const Loaded& on, Workspace& work, KvSequence& sequence, std::span<const std::int32_t> ids) {
    auto room = sequence.extend(*on.backend, static_cast<std::uint32_t>(ids.size()));
    REQUIRE(room);
    std::shared_ptr<KvBlock> open = std::move(*room);
    std::vector<float> out(on.vocabulary());
    {
        Pass pass(on.model, *on.backend, work, {{&sequence, open.get(), ids}}, true);
        REQUIRE(pass.run());
        pass.logits(ids.size() - 1, 1, {out.data(), {1, on.vocabulary()}});
    }
    sequence.push(std::move(open));
    return out;
}

}  // namespace

TEST_CASE("From its second token on decoding launches less than a third of its kernels itself, with the same logits") {
    constexpr std::size_t kPrompt = 20, kAll = 24;
    for (const char* architecture : {"llama", "qwen2", "qwen3", "gemma3"}) {
        CAPTURE(architecture);
        TinyModelSpec spec = smallSpec(architecture, DType::Q8_0);
        spec.layers = 3;
        const Loaded on(spec);
        Workspace work = on.workspace(kAll);
        const auto ids = someIds(1, kAll);
        std::vector<std::vector<float>> atOnce;
        for (std::size_t count = kAll; count > kPrompt; --count) {  // the most first: scratch does not grow later on
            KvSequence sequence(on.model.config.kvShape());
            atOnce.push_back(next(on, work, sequence, std::span(ids).first(count)));
        }
        KvSequence sequence(on.model.config.kvShape());
        next(on, work, sequence, std::span(ids).first(kPrompt));
        for (std::size_t at = kPrompt; at < kAll; ++at) {
            const cushim::Stats before = cushim::stats();
            const auto logits = next(on, work, sequence, std::span(ids).subspan(at, 1));
            const std::uint64_t calls = cushim::stats().launchCalls - before.launchCalls,
                                kernels = cushim::stats().launches - before.launches;
            CAPTURE(at);
            CAPTURE(kernels);
            if (at > kPrompt) CHECK(3 * calls < kernels);
            CHECK(sameBits(logits.data(), atOnce[kAll - 1 - at].data(), logits.size()));
        }
    }
}
