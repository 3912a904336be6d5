#include "store/format.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/hash.h"

namespace carrel {

namespace {

constexpr std::uint32_t kSegmentMagic = 0x53564b43, kBatchMagic = 0x42564b43,
                        kExtentMagic = 0x58564b43;  // CKVS CKVB CKVX
constexpr std::size_t kSealedFrom = 16;             // magic, version and checksum come before what the checksum covers
constexpr std::uint32_t kMaxLayers = 4096, kMaxHeads = 4096, kMaxHeadDim = 4096;  // products of sizes stay below 2^60

/// Lays values side by side into memory that is large enough.
class FieldWriter {
  public:
    explicit FieldWriter(std::span<std::byte> out) : out_(out) {}
    template <class... Values>
    void put(const Values&... values) {
        (raw(&values, sizeof values), ...);
    }
    void raw(const void* from, std::size_t bytes) {
        if (bytes > 0) std::memcpy(out_.subspan(at_, bytes).data(), from, bytes);
        at_ += bytes;
    }
    std::size_t at() const { return at_; }

  private:
    std::span<std::byte> out_;
    std::size_t at_ = 0;
};

Result<std::string> readText(ByteReader& in) {
    const auto size = in.read<std::uint16_t>();
    if (!size) return size.error();
    const auto bytes = in.take(*size);
    if (!bytes) return bytes.error();
    return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

/// Puts the checksum of out[16, end) at byte 8 and returns it.
std::uint64_t seal(std::span<std::byte> out) {
    const std::uint64_t checksum = xxh3(out.subspan(kSealedFrom));
    std::memcpy(out.data() + 8, &checksum, sizeof checksum);
    return checksum;
}

/// Magic, version and checksum of raw, all of which is sealed. Returns the checksum.
Result<std::uint64_t> unseal(std::uint32_t magic, std::span<const std::byte> raw, const std::string& where) {
    ByteReader in(raw, where);
    const auto foundMagic = in.read<std::uint32_t>();
    const auto version = in.read<std::uint32_t>();
    const auto checksum = in.read<std::uint64_t>();
    if (!checksum) return checksum.error();
    if (*foundMagic != magic) return Error{Code::Corrupt, where, "not the header expected here"};
    if (*version != kStoreFormat) return Error{Code::Unsupported, where, "format version " + std::to_string(*version)};
    if (xxh3(raw.subspan(kSealedFrom)) != *checksum) return Error{Code::Corrupt, where, "checksum of a header"};
    return *checksum;
}

/// Bytes 28 to the last string's end of a segment header.
std::vector<std::byte> identityBytes(const SegmentHeader& h) {
    const std::string* texts[] = {&h.key.document, &h.key.model, &h.key.settings, &h.key.codec, &h.tail};
    std::size_t bytes = 28;
    for (const auto* text : texts) bytes += 2 + text->size();
    std::vector<std::byte> raw(bytes);
    FieldWriter out(raw);
    out.put(h.shape.layers, h.shape.kvHeads, h.shape.headDim, h.firstToken, std::uint32_t{0}, h.prefixChain);
    for (const auto* text : texts) {
        out.put(static_cast<std::uint16_t>(text->size()));
        out.raw(text->data(), text->size());
    }
    return raw;
}

}  // namespace

std::uint64_t SegmentHeader::streamHash() const {
    return xxh3(identityBytes(*this), kStoreFormat);
}

Result<std::vector<std::byte>> SegmentHeader::encode() const {
    const auto identity = identityBytes(*this);
    std::vector<std::byte> page(kPage);
    if (identity.size() > kPage - 28)
        return Error{Code::InvalidArgument, key.document, "names of a reading of more than one page"};
    FieldWriter out(page);
    out.put(kSegmentMagic, kStoreFormat, std::uint64_t{0}, streamHash(), number);
    out.raw(identity.data(), identity.size());
    seal(page);
    return page;
}

Result<SegmentHeader> SegmentHeader::parse(std::span<const std::byte> page, const std::string& where) {
    if (auto sealed = unseal(kSegmentMagic, page, where); !sealed) return sealed.error();
    ByteReader in(page.subspan(kSealedFrom), where);
    SegmentHeader h;
    const auto hash = in.read<std::uint64_t>();
    std::array<std::uint32_t, 6> n{};
    for (auto& value : n) {
        const auto read = in.read<std::uint32_t>();
        if (!read) return read.error();
        value = *read;
    }
    const auto chain = in.read<std::uint64_t>();
    if (!chain) return chain.error();
    for (auto* text : {&h.key.document, &h.key.model, &h.key.settings, &h.key.codec, &h.tail}) {
        auto read = readText(in);
        if (!read) return read.error();
        *text = std::move(*read);
    }
    h.number = n[0];
    h.shape = {n[1], n[2], n[3]};
    h.firstToken = n[4];
    h.prefixChain = *chain;
    if (!possible(h.shape) || h.firstToken % kStoreGroupTokens != 0 || *hash != h.streamHash())
        return Error{Code::Corrupt, where, "a segment header that cannot be"};
    return h;
}

std::vector<std::byte> BatchHeader::encode(std::span<const std::int32_t> ids) {
    std::vector<std::byte> raw(paddedBytes(tokens));
    FieldWriter out(raw);
    out.put(kBatchMagic, kStoreFormat, std::uint64_t{0}, streamHash, first, tokens, bytes, chain, sketchOffset,
            sketchBytes, std::uint64_t{0});
    out.raw(ids.data(), ids.size_bytes());
    checksum = seal(std::span(raw).first(out.at()));
    return raw;
}

std::uint32_t BatchHeader::peekTokens(std::span<const std::byte> raw) {
    std::uint32_t tokens = 0;
    std::memcpy(&tokens, raw.data() + 28, sizeof tokens);
    return tokens;
}

Result<BatchHeader> BatchHeader::parse(std::span<const std::byte> raw, std::vector<std::int32_t>& ids,
                                       const std::string& where) {
    if (raw.size() < kBytes) return Error{Code::Truncated, where, "the file ends in a batch header"};
    const std::uint32_t tokens = peekTokens(raw);
    if (tokens == 0 || tokens > kMaxBatchTokens)
        return Error{Code::Corrupt, where, "a batch of " + std::to_string(tokens) + " tokens"};
    const std::size_t used = kBytes + std::size_t{4} * tokens;
    if (raw.size() < used) return Error{Code::Truncated, where, "the file ends in a batch header"};
    const auto checksum = unseal(kBatchMagic, raw.first(used), where);
    if (!checksum) return checksum.error();
    BatchHeader h;
    std::array<std::uint64_t, 4> n{};
    std::memcpy(&h.streamHash, raw.data() + 16, 8);
    std::memcpy(&h.first, raw.data() + 24, 4);
    std::memcpy(n.data(), raw.data() + 32, sizeof n);
    h.tokens = tokens;
    h.bytes = n[0], h.chain = n[1], h.sketchOffset = n[2], h.sketchBytes = n[3];
    h.checksum = *checksum;
    if (h.first % kStoreGroupTokens != 0 || h.first > UINT32_MAX - tokens)
        return Error{Code::Corrupt, where, "a batch that starts inside a group"};
    ids.resize(tokens);
    std::memcpy(ids.data(), raw.data() + kBytes, std::size_t{4} * tokens);
    return h;
}

Result<GroupHeader> GroupHeader::parse(std::span<const std::byte, kBytes> raw, const std::string& where) {
    GroupHeader h;
    std::memcpy(&h.codec, raw.data(), 4);
    std::memcpy(&h.keyBytes, raw.data() + 4, 4);
    std::memcpy(&h.valueBytes, raw.data() + 8, 4);
    std::memcpy(&h.flags, raw.data() + 12, 4);
    std::memcpy(&h.checksum, raw.data() + 16, 8);
    if (h.codec != kCodecF16) return Error{Code::Unsupported, where, "group codec " + std::to_string(h.codec)};
    if (std::any_of(raw.begin() + 24, raw.end(), [](std::byte b) { return b != std::byte{0}; }))
        return Error{Code::Unsupported, where, "an encrypted group"};
    return h;
}

bool possible(KvShape shape) {
    const auto within = [](std::uint32_t value, std::uint32_t most) { return value > 0 && value <= most; };
    return within(shape.layers, kMaxLayers) && within(shape.kvHeads, kMaxHeads) && within(shape.headDim, kMaxHeadDim);
}

BatchLayout::BatchLayout(KvShape shape, std::uint32_t tokens)
    : groups(groupsOf(tokens)),
      headerBytes(BatchHeader::paddedBytes(tokens)),
      extentHeaderBytes(roundUp(ExtentHeader::kBytes + GroupHeader::kBytes * shape.kvHeads * groups, kPage)),
      groupStride(roundUp(shape.groupBytes(), kPage)),
      extentBytes(extentHeaderBytes + groupStride * shape.kvHeads * groups),
      bytes(headerBytes + extentBytes * shape.layers) {}

void encodeExtent(const ExtentHeader& header, KvShape shape, std::span<const std::byte> payload,
                  std::span<std::byte> out) {
    const BatchLayout layout(shape, header.tokens);
    FieldWriter head(out);
    head.put(kExtentMagic, kStoreFormat, std::uint64_t{0}, header.streamHash, kCodecF16, header.layer, header.first,
             header.tokens, shape.kvHeads, layout.groups, std::uint64_t{layout.extentBytes}, std::uint64_t{0});
    const auto half = static_cast<std::uint32_t>(shape.groupBytes() / 2);
    for (std::size_t i = 0; i < std::size_t{shape.kvHeads} * layout.groups; ++i) {
        const auto group = payload.subspan(i * shape.groupBytes(), shape.groupBytes());
        const auto place = out.subspan(layout.extentHeaderBytes + i * layout.groupStride, layout.groupStride);
        std::memcpy(place.data(), group.data(), group.size());
        std::fill(place.begin() + static_cast<std::ptrdiff_t>(group.size()), place.end(), std::byte{0});
        const auto before = static_cast<std::uint32_t>(i % layout.groups) * kStoreGroupTokens;
        head.put(kCodecF16, half, half, std::min(kStoreGroupTokens, header.tokens - before), xxh3(group));
        head.put(std::array<std::byte, 28>{});  // nonce and tag
    }
    seal(out.first(head.at()));
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(head.at()),
              out.begin() + static_cast<std::ptrdiff_t>(layout.extentHeaderBytes), std::byte{0});
}

Result<std::vector<GroupHeader>> parseExtent(const ExtentHeader& expected, KvShape shape,
                                             std::span<const std::byte> raw, const std::string& where) {
    const BatchLayout layout(shape, expected.tokens);
    const std::size_t count = std::size_t{shape.kvHeads} * layout.groups;
    const std::size_t used = ExtentHeader::kBytes + count * GroupHeader::kBytes;
    if (raw.size() < used) return Error{Code::Truncated, where, "the file ends in an extent header"};
    if (auto sealed = unseal(kExtentMagic, raw.first(used), where); !sealed) return sealed.error();
    std::uint64_t hash = 0, bytes = 0;
    std::array<std::uint32_t, 6> n{};
    std::memcpy(&hash, raw.data() + 16, 8);
    std::memcpy(n.data(), raw.data() + 24, sizeof n);
    std::memcpy(&bytes, raw.data() + 48, 8);
    if (n[0] != kCodecF16) return Error{Code::Unsupported, where, "codec " + std::to_string(n[0])};
    const std::array<std::uint32_t, 6> wanted{kCodecF16,       expected.layer, expected.first,
                                              expected.tokens, shape.kvHeads,  layout.groups};
    if (hash != expected.streamHash || n != wanted || bytes != layout.extentBytes)
        return Error{Code::Corrupt, where, "an extent of another place"};
    std::vector<GroupHeader> groups;
    groups.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto group = GroupHeader::parse(
            raw.subspan(ExtentHeader::kBytes + i * GroupHeader::kBytes).first<GroupHeader::kBytes>(), where);
        if (!group) return group.error();
        if (group->keyBytes != shape.groupBytes() / 2 || group->valueBytes != shape.groupBytes() / 2)
            return Error{Code::Corrupt, where, "a group of another size"};
        groups.push_back(*group);
    }
    return groups;
}

std::uint64_t extendChain(std::uint64_t chain, std::span<const std::int32_t> idsOfOneGroup) {
    return xxh3(std::as_bytes(idsOfOneGroup), chain);
}

}  // namespace carrel
