#pragma once

#include <filesystem>

#include "store/format.h"

namespace carrel {

// note.bin and use.bin: bytes that whoever reads keeps beside a stream; they count only for the very tokens they were
// kept with.
//    0 u32 magic "CKNT", "CKUS"    4 u32 version    8 u64 xxh3 of bytes 16 to the end    16 u64 stream hash    24 u32
//    tokens
//   28 u32 bytes    32 u64 xxh3 of the stream's ids    40 the bytes
inline constexpr std::size_t kNoteHeaderBytes = 40;

struct NoteKind {
    std::uint32_t magic;
    std::size_t mostBytes;
    bool synced;  // or left to the system to write: losing it costs nothing that anybody sees
    const char* file;
};
inline constexpr NoteKind kProbeNote{0x544e4b43, 4096, true, "note.bin"};                 // CKNT
inline constexpr NoteKind kUseNote{0x53554b43, std::size_t{64} << 20, false, "use.bin"};  // CKUS

struct NotePlace {
    std::uint64_t streamHash = 0, ids = 0;
    std::uint32_t tokens = 0;
    bool operator==(const NotePlace&) const = default;
};

/// Replaces the file in this folder. A note that a crash tears fails its checksum: it is no note.
Status writeNote(FileSystem& files, const std::filesystem::path& folder, const NoteKind& kind, const NotePlace& place,
                 std::span<const std::byte> bytes);
/// NotFound, Truncated, Corrupt (also: of other tokens), Unsupported, Io.
Result<std::vector<std::byte>> readNote(FileSystem& files, const std::filesystem::path& folder, const NoteKind& kind,
                                        const NotePlace& place);

}  // namespace carrel
