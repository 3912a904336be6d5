#include "store/note.h"

#include <cstring>

#include "store/sealed.h"

namespace carrel {

Status writeNote(FileSystem& files, const std::filesystem::path& folder, const NoteKind& kind, const NotePlace& place,
                 std::span<const std::byte> bytes) {
    const auto path = folder / kind.file;
    if (bytes.size() > kind.mostBytes) return Error{Code::InvalidArgument, path.string(), "a note of that size"};
    std::vector<std::byte> raw(kNoteHeaderBytes + bytes.size());
    FieldWriter out(raw);
    out.put(kind.magic, kStoreFormat, std::uint64_t{0}, place.streamHash, place.tokens,
            static_cast<std::uint32_t>(bytes.size()), place.ids);
    out.raw(bytes.data(), bytes.size());
    seal(raw);
    auto file = files.open(path, OpenMode::Create);
    if (!file) return file.error();
    if (auto s = (*file)->truncate(0); !s) return s;
    if (auto s = (*file)->pwrite(raw, 0); !s) return s;
    return kind.synced ? (*file)->sync() : Status{};
}

Result<std::vector<std::byte>> readNote(FileSystem& files, const std::filesystem::path& folder, const NoteKind& kind,
                                        const NotePlace& place) {
    const auto path = folder / kind.file;
    auto file = files.open(path, OpenMode::Read);
    if (!file) return file.error();
    const auto size = (*file)->size();
    if (!size) return size.error();
    if (*size < kNoteHeaderBytes || *size > kNoteHeaderBytes + kind.mostBytes)
        return Error{Code::Truncated, path.string(), "a note of that size"};
    std::vector<std::byte> raw(*size);
    if (auto s = (*file)->pread(raw, 0); !s) return s.error();
    if (const auto sealed = unseal(kind.magic, raw, path.string()); !sealed) return sealed.error();
    NotePlace found;
    std::uint32_t bytes = 0;
    std::memcpy(&found.streamHash, raw.data() + 16, 8);
    std::memcpy(&found.tokens, raw.data() + 24, 4);
    std::memcpy(&bytes, raw.data() + 28, 4);
    std::memcpy(&found.ids, raw.data() + 32, 8);
    if (!(found == place) || bytes != raw.size() - kNoteHeaderBytes)
        return Error{Code::Corrupt, path.string(), "a note of other tokens"};
    raw.erase(raw.begin(), raw.begin() + kNoteHeaderBytes);
    return raw;
}

}  // namespace carrel
