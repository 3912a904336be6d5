#include "store/sketch_file.h"

#include <cstring>

#include "base/hash.h"
#include "store/compression.h"
#include "store/sealed.h"

namespace carrel {

namespace {

constexpr std::uint32_t kSketchMagic = 0x4b534b43;  // CKSK

struct Header {
    std::uint32_t flags = 0;
    std::uint64_t bytes = 0, checksum = 0;
    bool zstd() const { return flags != 0; }
};

std::string nameOf(const SketchPlace& place) {
    return "sketch at byte " + std::to_string(place.offset);
}

Result<Header> readHeader(File& file, const SketchPlace& place, KvShape shape) {
    const std::string where = nameOf(place);
    const auto size = file.size();
    if (!size) return size.error();
    if (place.bytes < kSketchHeaderBytes || place.offset > *size || place.bytes > *size - place.offset)
        return Error{Code::Truncated, where, "the sketch file ends here"};
    std::array<std::byte, kSketchHeaderBytes> raw;
    if (auto s = file.pread(raw, place.offset); !s) return s.error();
    const auto sealed = unseal(kSketchMagic, raw, where);
    if (!sealed) return sealed.error();
    Header header;
    std::uint64_t hash = 0;
    std::array<std::uint32_t, 5> fields{};
    std::memcpy(&hash, raw.data() + 16, 8);
    std::memcpy(fields.data(), raw.data() + 24, sizeof fields);
    std::memcpy(&header.flags, raw.data() + 44, 4);
    std::memcpy(&header.bytes, raw.data() + 48, 8);
    std::memcpy(&header.checksum, raw.data() + 56, 8);
    const std::array<std::uint32_t, 5> wanted{place.first, place.groups, shape.layers, shape.kvHeads, shape.headDim};
    if (*sealed != place.checksum || hash != place.streamHash || fields != wanted || header.flags > 1)
        return Error{Code::Corrupt, where, "a sketch of another place"};
    const std::uint64_t plain = shape.rows() * place.groups * codesBytes(shape.headDim);
    if (header.bytes != place.bytes - kSketchHeaderBytes ||
        (header.zstd() ? header.bytes >= plain : header.bytes != plain))
        return Error{Code::Corrupt, where, "codes of another size"};
    return header;
}

Result<std::vector<std::byte>> readStored(File& file, const SketchPlace& place, const Header& header) {
    std::vector<std::byte> stored(header.bytes);
    if (auto s = file.pread(stored, place.offset + kSketchHeaderBytes); !s) return s.error();
    if (xxh3(stored) != header.checksum) return Error{Code::Corrupt, nameOf(place), "checksum of a sketch"};
    return stored;
}

}  // namespace

std::uint64_t mostSketchBytes(KvShape shape, KvCodec codec, std::uint32_t tokens) {
    const std::uint32_t groups = tokens / kGroupTokens;
    if (codec == KvCodec::F16 || groups == 0) return 0;
    return kSketchHeaderBytes + shape.rows() * groups * codesBytes(shape.headDim);
}

std::vector<std::byte> encodeSketch(const SketchPlace& place, KvShape shape, std::span<const std::byte> codes,
                                    bool compress) {
    Compressor zstd;
    const auto frame = compress ? zstd.compress(codes) : std::span<const std::byte>();
    const auto stored = frame.empty() ? codes : frame;
    std::vector<std::byte> raw(kSketchHeaderBytes);
    FieldWriter(raw).put(kSketchMagic, kStoreFormat, std::uint64_t{0}, place.streamHash, place.first, place.groups,
                         shape.layers, shape.kvHeads, shape.headDim, frame.empty() ? 0u : 1u,
                         std::uint64_t{stored.size()}, xxh3(stored));
    seal(raw);
    raw.insert(raw.end(), stored.begin(), stored.end());
    return raw;
}

std::uint64_t sketchChecksum(std::span<const std::byte> record) {
    std::uint64_t checksum = 0;
    std::memcpy(&checksum, record.data() + 8, 8);
    return checksum;
}

Status readSketch(File& file, const SketchPlace& place, KvShape shape, std::uint32_t groups,
                  std::span<std::byte> codes) {
    const auto header = readHeader(file, place, shape);
    if (!header) return header.error();
    auto stored = readStored(file, place, *header);
    if (!stored) return stored.error();
    const std::size_t row = place.groups * codesBytes(shape.headDim), wanted = groups * codesBytes(shape.headDim);
    if (header->zstd()) {
        std::vector<std::byte> plain(shape.rows() * row);
        if (!Decompressor().decompress(*stored, plain))
            return Error{Code::Corrupt, nameOf(place), "a frame of another size"};
        *stored = std::move(plain);
    }
    for (std::size_t i = 0; i < shape.rows(); ++i)  // a truncation may have cut the batch
        std::memcpy(codes.data() + i * wanted, stored->data() + i * row, wanted);
    return {};
}

Status checkSketch(File& file, const SketchPlace& place, KvShape shape) {
    const auto header = readHeader(file, place, shape);
    if (!header) return header.error();
    if (const auto stored = readStored(file, place, *header); !stored) return stored.error();
    return {};
}

}  // namespace carrel
