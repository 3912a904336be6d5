#include "store/extent.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "store/sealed.h"

namespace carrel {

namespace {

constexpr std::uint32_t kExtentMagic = 0x58564b43;  // CKVX
constexpr std::uint32_t kTokensMask = 0xff, kZstdFlag = 0x100;

std::uint32_t tokensIn(const Extent& extent, std::uint32_t group) {
    return std::min(kGroupTokens, extent.tokens - group * kGroupTokens);
}

}  // namespace

std::uint64_t Extent::mostBytes(KvShape shape) const {
    const auto bytes = [&](std::uint32_t group) {
        return roundUp(shape.groupBytes(codecOf(group)), kPayloadAlignment);
    };
    const std::uint64_t head = bytes(0) * (groups() - 1) + bytes(groups() - 1);  // all but the last are alike
    return headerBytes(shape) + head * shape.kvHeads;
}

std::vector<std::byte> encodeExtent(const Extent& extent, KvShape shape, std::span<const std::byte> payload,
                                    std::span<const std::byte> unfinished, Compressor* compressor,
                                    std::span<GroupPlace> places) {
    const std::uint32_t groups = extent.groups();
    std::vector<std::byte> out(extent.mostBytes(shape));
    std::vector<std::byte> headers(places.size() * Extent::kGroupHeaderBytes);
    FieldWriter header(headers);
    std::size_t at = extent.headerBytes(shape);
    for (std::size_t i = 0; i < places.size(); ++i) {
        const auto group = static_cast<std::uint32_t>(i % groups);
        const KvCodec codec = extent.codecOf(group);
        const std::size_t bytes = shape.groupBytes(codec);
        auto& source = codec == extent.codec ? payload : unfinished;
        const auto plain = source.first(bytes);
        source = source.subspan(bytes);
        auto stored = plain;
        if (compressor != nullptr)
            if (const auto frame = compressor->compress(plain); !frame.empty()) stored = frame;
        const bool zstd = stored.data() != plain.data();
        std::memcpy(std::span(out).subspan(at, stored.size()).data(), stored.data(), stored.size());
        auto& place = places[i];
        place.checksum = xxh3(stored);
        place.at = static_cast<std::uint32_t>(at / Extent::kPayloadAlignment);
        place.bytes = static_cast<std::uint32_t>(stored.size()) & 0x7fffffffu;
        place.zstd = zstd;
        header.put(static_cast<std::uint32_t>(codec), static_cast<std::uint32_t>(stored.size()),
                   static_cast<std::uint32_t>(bytes), tokensIn(extent, group) | (zstd ? kZstdFlag : 0), place.checksum,
                   std::array<std::byte, 28>{});  // nonce and tag
        at = roundUp(at + stored.size(), Extent::kPayloadAlignment);
    }
    out.resize(at);
    FieldWriter head(out);
    head.put(kExtentMagic, kStoreFormat, std::uint64_t{0}, extent.streamHash, static_cast<std::uint32_t>(extent.codec),
             extent.layer, extent.first, extent.tokens, shape.kvHeads, groups, std::uint64_t{out.size()},
             std::uint64_t{0});
    head.raw(headers.data(), headers.size());
    seal(std::span(out).first(head.at()));
    return out;
}

ExtentRef refOf(std::span<const std::byte> encoded) {
    ExtentRef ref{encoded.size(), 0};
    std::memcpy(&ref.checksum, encoded.data() + 8, 8);
    return ref;
}

Result<std::vector<GroupPlace>> parseExtent(const Extent& expected, KvShape shape, const ExtentRef& ref,
                                            std::span<const std::byte> raw, const std::string& where) {
    const std::uint32_t groups = expected.groups();
    const std::size_t count = std::size_t{shape.kvHeads} * groups;
    const std::size_t used = Extent::kBytes + count * Extent::kGroupHeaderBytes;
    if (raw.size() < used) return Error{Code::Truncated, where, "the file ends in an extent header"};
    const auto sealed = unseal(kExtentMagic, raw.first(used), where);
    if (!sealed) return sealed.error();
    std::array<std::uint32_t, 6> fields{};
    std::uint64_t hash = 0, whole = 0;
    std::memcpy(&hash, raw.data() + 16, 8);
    std::memcpy(fields.data(), raw.data() + 24, sizeof fields);
    std::memcpy(&whole, raw.data() + 48, 8);
    const std::array<std::uint32_t, 6> wanted{static_cast<std::uint32_t>(expected.codec),
                                              expected.layer,
                                              expected.first,
                                              expected.tokens,
                                              shape.kvHeads,
                                              groups};
    if (*sealed != ref.checksum || hash != expected.streamHash || fields != wanted || whole != ref.bytes)
        return Error{Code::Corrupt, where, "an extent of another place"};

    std::vector<GroupPlace> places(count);
    std::uint64_t at = expected.headerBytes(shape);
    for (std::size_t i = 0; i < count; ++i) {
        const auto one = raw.subspan(Extent::kBytes + i * Extent::kGroupHeaderBytes, Extent::kGroupHeaderBytes);
        const auto group = static_cast<std::uint32_t>(i % groups);
        std::array<std::uint32_t, 4> n{};  // codec, stored bytes, plain bytes, flags
        std::memcpy(n.data(), one.data(), sizeof n);
        if (std::any_of(one.begin() + 24, one.end(), [](std::byte b) { return b != std::byte{0}; }))
            return Error{Code::Unsupported, where, "an encrypted group"};
        const KvCodec codec = expected.codecOf(group);
        const bool zstd = (n[3] & kZstdFlag) != 0;
        if (n[0] != static_cast<std::uint32_t>(codec) || n[2] != shape.groupBytes(codec) || n[1] == 0 ||
            (zstd ? n[1] >= n[2] : n[1] != n[2]) || (n[3] & kTokensMask) != tokensIn(expected, group) ||
            (n[3] & ~(kTokensMask | kZstdFlag)) != 0 || at > ref.bytes || n[1] > ref.bytes - at)
            return Error{Code::Corrupt, where, "a group that cannot be here"};
        std::memcpy(&places[i].checksum, one.data() + 16, 8);
        places[i].at = static_cast<std::uint32_t>(at / Extent::kPayloadAlignment);
        places[i].bytes = n[1] & 0x7fffffffu;
        places[i].zstd = zstd;
        at = roundUp(at + n[1], Extent::kPayloadAlignment);
    }
    return places;
}

bool decodeGroup(const GroupPlace& place, std::span<const std::byte> stored, std::span<std::byte> into,
                 Decompressor& decompressor) {
    if (place.zstd) return decompressor.decompress(stored, into);
    if (stored.size() != into.size()) return false;
    std::memcpy(into.data(), stored.data(), stored.size());
    return true;
}

}  // namespace carrel
