#include "store/sketch_file.h"

#include <cstring>

#include "base/hash.h"
#include "store/compression.h"
#include "store/sealed.h"

namespace carrel {

namespace {

constexpr std::uint32_t kSketchMagic = 0x4b534b43;  // CKSK
enum Part : std::uint32_t { kCodes = 0, kMeans = 1 };

std::size_t groupBytes(Part part, KvShape shape) {
    return part == kCodes ? codesBytes(shape.headDim) : meansBytes(shape.headDim);
}

struct Header {
    std::uint32_t flags = 0;
    std::uint64_t bytes[2] = {}, checksum[2] = {};
    bool zstd(Part part) const { return (flags >> part & 1) != 0; }
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
    std::memcpy(header.bytes, raw.data() + 48, 16);
    std::memcpy(header.checksum, raw.data() + 64, 16);
    const std::array<std::uint32_t, 5> wanted{place.first, place.groups, shape.layers, shape.kvHeads, shape.headDim};
    if (*sealed != place.checksum || hash != place.streamHash || fields != wanted || header.flags > 3)
        return Error{Code::Corrupt, where, "a sketch of another place"};
    const std::uint64_t both = place.bytes - kSketchHeaderBytes;
    if (header.bytes[0] > both || header.bytes[1] != both - header.bytes[0])
        return Error{Code::Corrupt, where, "parts that do not fill the record"};
    for (const Part part : {kCodes, kMeans}) {
        const std::uint64_t plain = shape.rows() * place.groups * groupBytes(part, shape);
        if (header.zstd(part) ? header.bytes[part] >= plain : header.bytes[part] != plain)
            return Error{Code::Corrupt, where, "a part of another size"};
    }
    return header;
}

Result<std::vector<std::byte>> readPart(File& file, const SketchPlace& place, const Header& header, Part part) {
    std::vector<std::byte> stored(header.bytes[part]);
    const std::uint64_t before = kSketchHeaderBytes + (part == kMeans ? header.bytes[kCodes] : 0);
    if (auto s = file.pread(stored, place.offset + before); !s) return s.error();
    if (xxh3(stored) != header.checksum[part]) return Error{Code::Corrupt, nameOf(place), "checksum of a sketch"};
    return stored;
}

}  // namespace

std::uint64_t mostSketchBytes(KvShape shape, KvCodec codec, std::uint32_t tokens) {
    const std::uint32_t groups = tokens / kGroupTokens;
    if (codec == KvCodec::F16 || groups == 0) return 0;
    return kSketchHeaderBytes + shape.rows() * groups * (codesBytes(shape.headDim) + meansBytes(shape.headDim));
}

std::vector<std::byte> encodeSketch(const SketchPlace& place, KvShape shape, std::span<const std::byte> codes,
                                    std::span<const std::byte> means, bool compress) {
    Compressor zstd;
    std::vector<std::byte> raw(kSketchHeaderBytes);
    Header header;
    for (const Part part : {kCodes, kMeans}) {
        auto stored = part == kCodes ? codes : means;
        if (const auto frame = compress ? zstd.compress(stored) : std::span<const std::byte>(); !frame.empty()) {
            stored = frame;
            header.flags |= 1u << part;
        }
        header.bytes[part] = stored.size();
        header.checksum[part] = xxh3(stored);
        raw.insert(raw.end(), stored.begin(), stored.end());
    }
    FieldWriter(raw).put(kSketchMagic, kStoreFormat, std::uint64_t{0}, place.streamHash, place.first, place.groups,
                         shape.layers, shape.kvHeads, shape.headDim, header.flags, header.bytes, header.checksum);
    seal(std::span(raw).first(kSketchHeaderBytes));
    return raw;
}

std::uint64_t sketchChecksum(std::span<const std::byte> record) {
    std::uint64_t checksum = 0;
    std::memcpy(&checksum, record.data() + 8, 8);
    return checksum;
}

Status readSketch(File& file, const SketchPlace& place, KvShape shape, std::uint32_t groups, std::span<std::byte> codes,
                  std::span<std::byte> means) {
    const auto header = readHeader(file, place, shape);
    if (!header) return header.error();
    Decompressor zstd;
    for (const Part part : {kCodes, kMeans}) {
        const auto into = part == kCodes ? codes : means;
        if (into.empty()) continue;
        auto stored = readPart(file, place, *header, part);
        if (!stored) return stored.error();
        const std::size_t row = place.groups * groupBytes(part, shape), wanted = groups * groupBytes(part, shape);
        if (header->zstd(part)) {
            std::vector<std::byte> plain(shape.rows() * row);
            if (!zstd.decompress(*stored, plain)) return Error{Code::Corrupt, nameOf(place), "a frame of another size"};
            *stored = std::move(plain);
        }
        for (std::size_t i = 0; i < shape.rows(); ++i)  // a truncation may have cut the batch
            std::memcpy(into.data() + i * wanted, stored->data() + i * row, wanted);
    }
    return {};
}

Status checkSketch(File& file, const SketchPlace& place, KvShape shape) {
    const auto header = readHeader(file, place, shape);
    if (!header) return header.error();
    for (const Part part : {kCodes, kMeans})
        if (const auto stored = readPart(file, place, *header, part); !stored) return stored.error();
    return {};
}

}  // namespace carrel
