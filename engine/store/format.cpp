#include "store/format.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/bytes.h"
#include "base/hash.h"
#include "store/sealed.h"

namespace carrel {

namespace {

constexpr std::uint32_t kSegmentMagic = 0x53564b43, kBatchMagic = 0x42564b43;     // CKVS CKVB
constexpr std::uint32_t kMaxLayers = 4096, kMaxHeads = 4096, kMaxHeadDim = 4096;  // products of sizes stay below 2^60

Result<std::string> readText(ByteReader& in) {
    const auto size = in.read<std::uint16_t>();
    if (!size) return size.error();
    const auto bytes = in.take(*size);
    if (!bytes) return bytes.error();
    return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

/// Bytes 28 to the last string's end of a segment header.
std::vector<std::byte> identityBytes(const SegmentHeader& h) {
    const std::string_view texts[] = {h.key.document, h.key.model, h.key.settings, codecName(h.key.codec), h.tail};
    std::size_t bytes = 28;
    for (const auto text : texts) bytes += 2 + text.size();
    std::vector<std::byte> raw(bytes);
    FieldWriter out(raw);
    out.put(h.shape.layers, h.shape.kvHeads, h.shape.headDim, h.firstToken, std::uint32_t{0}, h.prefixChain);
    for (const auto text : texts) {
        out.put(static_cast<std::uint16_t>(text.size()));
        out.raw(text.data(), text.size());
    }
    return raw;
}

}  // namespace

std::uint64_t seal(std::span<std::byte> out) {
    const std::uint64_t checksum = xxh3(out.subspan(kSealedFrom));
    std::memcpy(out.data() + 8, &checksum, sizeof checksum);
    return checksum;
}

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
    std::string codecText;
    for (auto* text : {&h.key.document, &h.key.model, &h.key.settings, &codecText, &h.tail}) {
        auto read = readText(in);
        if (!read) return read.error();
        *text = std::move(*read);
    }
    const auto codec = codecNamed(codecText);
    if (!codec) return Error{Code::Unsupported, where, "codec " + codecText};
    h.key.codec = *codec;
    h.number = n[0];
    h.shape = {n[1], n[2], n[3]};
    h.firstToken = n[4];
    h.prefixChain = *chain;
    if (!possible(h.shape) || h.firstToken % kGroupTokens != 0 || *hash != h.streamHash())
        return Error{Code::Corrupt, where, "a segment header that cannot be"};
    return h;
}

std::vector<std::byte> BatchHeader::encode(std::span<const std::int32_t> ids, std::span<const ExtentRef> extents) {
    std::vector<std::byte> raw(paddedBytes(tokens, static_cast<std::uint32_t>(extents.size())));
    FieldWriter out(raw);
    out.put(kBatchMagic, kStoreFormat, std::uint64_t{0}, streamHash, first, tokens, bytes, chain, sketchOffset,
            sketchBytes, sketchChecksum);
    out.raw(ids.data(), ids.size_bytes());
    out.raw(extents.data(), extents.size_bytes());
    checksum = seal(std::span(raw).first(out.at()));
    return raw;
}

std::uint32_t BatchHeader::peekTokens(std::span<const std::byte> raw) {
    std::uint32_t tokens = 0;
    std::memcpy(&tokens, raw.data() + 28, sizeof tokens);
    return tokens;
}

std::uint64_t StoredBatch::extentAt(std::uint32_t layer) const {
    std::uint64_t at = BatchHeader::paddedBytes(header.tokens, static_cast<std::uint32_t>(extents.size()));
    for (std::uint32_t i = 0; i < layer; ++i) at += extents[i].bytes;
    return at;
}

Result<StoredBatch> StoredBatch::parse(std::span<const std::byte> raw, KvShape shape, const std::string& where) {
    if (raw.size() < BatchHeader::kBytes) return Error{Code::Truncated, where, "the file ends in a batch header"};
    const std::uint32_t tokens = BatchHeader::peekTokens(raw);
    if (tokens == 0 || tokens > kMaxBatchTokens)
        return Error{Code::Corrupt, where, "a batch of " + std::to_string(tokens) + " tokens"};
    const std::size_t idBytes = std::size_t{4} * tokens, sizeBytes = sizeof(ExtentRef) * shape.layers;
    const std::size_t used = BatchHeader::kBytes + idBytes + sizeBytes;
    if (raw.size() < used) return Error{Code::Truncated, where, "the file ends in a batch header"};
    const auto checksum = unseal(kBatchMagic, raw.first(used), where);
    if (!checksum) return checksum.error();
    StoredBatch batch;
    auto& h = batch.header;
    std::array<std::uint64_t, 5> n{};
    std::memcpy(&h.streamHash, raw.data() + 16, 8);
    std::memcpy(&h.first, raw.data() + 24, 4);
    std::memcpy(n.data(), raw.data() + 32, sizeof n);
    h.tokens = tokens;
    h.bytes = n[0], h.chain = n[1], h.sketchOffset = n[2], h.sketchBytes = n[3], h.sketchChecksum = n[4];
    h.checksum = *checksum;
    if (h.first % kGroupTokens != 0 || h.first > UINT32_MAX - tokens)
        return Error{Code::Corrupt, where, "a batch that starts inside a group"};
    batch.ids.resize(tokens);
    std::memcpy(batch.ids.data(), raw.data() + BatchHeader::kBytes, idBytes);
    batch.extents.resize(shape.layers);
    std::memcpy(batch.extents.data(), raw.data() + BatchHeader::kBytes + idBytes, sizeBytes);
    if (h.bytes > kMaxBatchBytes ||
        std::any_of(batch.extents.begin(), batch.extents.end(), [&](const ExtentRef& extent) {
            return extent.bytes == 0 || extent.bytes % kAlignment != 0 || extent.bytes > h.bytes;
        }))
        return Error{Code::Corrupt, where, "extents of sizes that cannot be"};
    if (roundUp(batch.extentAt(shape.layers), kPage) != h.bytes)
        return Error{Code::Corrupt, where, "extents that do not fill the batch"};
    return batch;
}

bool possible(KvShape shape) {
    const auto within = [](std::uint32_t value, std::uint32_t most) { return value > 0 && value <= most; };
    return within(shape.layers, kMaxLayers) && within(shape.kvHeads, kMaxHeads) && within(shape.headDim, kMaxHeadDim);
}

std::uint64_t extendChain(std::uint64_t chain, std::span<const std::int32_t> idsOfOneGroup) {
    return xxh3(std::as_bytes(idsOfOneGroup), chain);
}

}  // namespace carrel
