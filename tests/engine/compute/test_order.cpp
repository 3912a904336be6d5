#include <algorithm>
#include <bit>

#include "backend_under_test.h"

using namespace carrel;

namespace {

constexpr KvCodec kCodec = KvCodec::K8V6;
constexpr std::uint32_t kHeadDim = 64, kHeads = 2, kGroups = 6, kSlots = 10, kSteps = 40;

/// One KV head's encoded groups in host memory, a few slots of rows in the device's, and steps as a tier makes them:
/// what is chosen and has a slot is attended while the rest is unpacked into slots that nothing chosen has.
class Steps {
  public:
    Steps(Backend& backend, bool waits)
        : backend_(backend),
          waits_(waits),
          codes_(allocate(kGroups * codesBytes(kHeadDim), MemoryKind::Host)),
          payload_(allocate(kGroups * payloadBytes(kCodec, kHeadDim), MemoryKind::Host)),
          means_(allocate(kGroups * meansBytes(kHeadDim), MemoryKind::Host)),
          grids_(allocate(kGroups * codesBytes(kHeadDim), MemoryKind::Device)),
          slots_(allocate(kSlots * rowsBytes(kHeadDim), MemoryKind::Device)),
          state_(backend, kHeads * (kHeadDim + 2)),
          q_(backend, randomFloats(5, kSteps * kHeads * kHeadDim)),
          out_(backend, kSteps * kHeads * kHeadDim),
          leafOf_(kSlots, UINT32_MAX) {
        std::vector<std::uint16_t> plain(std::size_t{kGroups} * 2 * kGroupTokens * kHeadDim);
        for (auto& half : plain)
            half = f32ToF16(static_cast<float>(static_cast<int>(random_() % 4001) - 2000) / 500.0f);
        const Shared<std::uint16_t> keys(backend, plain);
        std::vector<EncodeGroup> groups;
        for (std::uint32_t g = 0; g < kGroups; ++g) {
            const std::uint16_t* at = keys.data() + std::size_t{g} * 2 * kGroupTokens * kHeadDim;
            groups.push_back({at, at + kGroupTokens * kHeadDim, payload(g),
                              codes_.as<std::byte>(g * codesBytes(kHeadDim)),
                              means_.as<std::byte>(g * meansBytes(kHeadDim))});
        }
        backend.encode(kCodec, kHeadDim, groups);
        const CopyPiece all[] = {{grids_.as<void>(), codes_.as<void>(), kGroups * codesBytes(kHeadDim)}};
        backend.copy(all);
    }

    /// Attention over some leaves.
    void step(std::size_t number) {
        std::vector<std::uint32_t> chosen;
        while (chosen.size() < 5)
            if (const std::uint32_t leaf = below(kGroups * kGroupLeaves);
                std::ranges::find(chosen, leaf) == chosen.end())
                chosen.push_back(leaf);
        std::ranges::sort(chosen);
        const auto isChosen = [&](std::uint32_t leaf) { return std::ranges::binary_search(chosen, leaf); };
        std::vector<KvPick> picks(chosen.size());
        std::vector<KvRun> runs(chosen.size());
        std::vector<UnpackLeaf> unpack;
        bool someLate = false;
        for (std::size_t i = 0; i < chosen.size(); ++i) {
            const std::uint32_t leaf = chosen[i];
            auto slot = std::ranges::find(leafOf_, leaf);
            const bool late = slot == leafOf_.end();
            if (late) {
                do slot = leafOf_.begin() + below(kSlots);
                while (*slot != UINT32_MAX && isChosen(*slot));
                *slot = leaf;
                unpack.push_back(packedLeaf(kCodec, kHeadDim, payload(leaf / 4),
                                            grids_.as<std::byte>(leaf / 4 * codesBytes(kHeadDim)), leaf % 4,
                                            rows(slot)));
                someLate = true;
            }
            picks[i] = {rows(slot),
                        reinterpret_cast<const std::uint16_t*>(grids_.as<std::byte>(leaf / 4 * codesBytes(kHeadDim)) +
                                                               kGroupLeaves * planeLeafBytes(kHeadDim)),
                        leaf, static_cast<std::uint16_t>(1 + random_() % 0xffff)};
            runs[i] = {.first = leaf * kLeafTokens,
                       .tokens = static_cast<std::uint32_t>(std::popcount(picks[i].tokens)),
                       .picks = {&picks[i], 1},
                       .late = late};
        }
        const std::uint32_t position[] = {kGroups * kGroupTokens}, sequence[] = {0};
        const std::span<const KvRun> all[] = {runs};
        AttendArgs a;
        a.q = View<const float, 3>(q_.data() + number * kHeads * kHeadDim, {1, kHeads, kHeadDim});
        a.position = position;
        a.sequence = sequence;
        a.runs = all;
        a.nKvHeads = 1;
        a.scale = 0.125f;
        a.codec = kCodec;
        a.out = View<float, 3>(out_.data() + number * kHeads * kHeadDim, {1, kHeads, kHeadDim});
        a.state = View<float, 3>(state_.data(), {1, kHeads, kHeadDim + 2});
        const bool first = below(2) == 0;  // late leaves come before anything is attended, or while the others are
        if (!first && someLate) {
            a.pass = AttendPass::There;
            backend_.attend(a);
            settle();
            a.pass = AttendPass::Late;
        }
        if (someLate) backend_.unpack(kCodec, kHeadDim, unpack);
        settle();
        if (below(6) == 0) backend_.settle();
        backend_.attend(a);
        settle();
    }
    std::vector<float> out() const { return out_.read(); }

  private:
    Buffer allocate(std::size_t bytes, MemoryKind kind) {
        auto made = backend_.allocate(bytes, kind);
        REQUIRE(made);
        return std::move(*made);
    }
    void settle() {
        if (waits_) backend_.settle();
    }
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
    std::byte* payload(std::uint32_t group) { return payload_.as<std::byte>(group * payloadBytes(kCodec, kHeadDim)); }
    std::byte* rows(std::vector<std::uint32_t>::iterator slot) {
        return slots_.as<std::byte>(static_cast<std::size_t>(slot - leafOf_.begin()) * rowsBytes(kHeadDim));
    }

    Backend& backend_;
    bool waits_;
    std::mt19937 random_{7};
    Buffer codes_, payload_, means_, grids_, slots_;
    Shared<float> state_, q_, out_;
    std::vector<std::uint32_t> leafOf_;  // of each slot
};

}  // namespace

TEST_CASE("Unpacking beside attention gives what it gives when everything waits for everything") {
    const auto backend = backendUnderTest();
    Steps waiting(*backend, true), running(*backend, false);
    for (Steps* steps : {&waiting, &running})
        for (std::size_t i = 0; i < kSteps; ++i) steps->step(i);
    const auto want = waiting.out(), got = running.out();
    for (std::size_t i = 0; i < kSteps; ++i) {
        INFO("step ", i);
        CHECK(sameBits(want.data() + i * kHeads * kHeadDim, got.data() + i * kHeads * kHeadDim, kHeads * kHeadDim));
    }
}

TEST_CASE("Copies go from and to memory of either kind, of any size and place, and make zeros") {
    const auto backend = backendUnderTest();
    std::mt19937 random(3);
    for (const MemoryKind from : {MemoryKind::Host, MemoryKind::Device})
        for (const MemoryKind to : {MemoryKind::Host, MemoryKind::Device}) {
            std::vector<std::byte> source(200'000), want(200'000);
            std::ranges::generate(source, [&] { return std::byte(random()); });
            auto a = backend->allocate(source.size(), from), b = backend->allocate(want.size(), to);
            REQUIRE(a);
            REQUIRE(b);
            backend->copyIn(a->as<void>(), source);
            const CopyPiece zeros[] = {{b->as<void>(), nullptr, want.size()}};
            backend->copy(zeros);
            std::vector<CopyPiece> pieces;
            for (std::size_t at = 0; at < want.size() - 70'000;) {
                const std::size_t bytes = random() % 3 == 0 ? random() % 70'000 / 16 * 16 : random() % 100,
                                  place = random() % (source.size() - bytes);
                const bool zero = random() % 4 == 0;
                pieces.push_back({b->as<std::byte>(at), zero ? nullptr : a->as<std::byte>(place), bytes});
                if (!zero) std::memcpy(want.data() + at, source.data() + place, bytes);
                at += bytes + random() % 20;
            }
            backend->copy(pieces);
            std::vector<std::byte> got(want.size());
            backend->copyOut(got, b->as<void>());
            CHECK(got == want);
        }
}
