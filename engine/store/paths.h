#pragma once

#include <filesystem>

#include "store/format.h"

namespace carrel {

// readings/                        CACHEDIR.TAG, index.sqlite
// readings/<id>/                   lock, kv-000.seg, kv-001.seg, ..., sketch.bin
// readings/<id>/tails/<hash>/      kv-000.seg, ..., sketch.bin of one tail

/// The folder name of a reading: 32 hex digits of a hash over everything that identifies it. InvalidArgument: a key
/// longer than a page.
Result<std::string> readingId(const ReadingKey& key, KvShape shape);
/// Whether this can be a reading's folder: nothing else under readings/ is ever swept.
bool looksLikeReadingId(const std::string& name);
/// A tail's folder inside its reading's; the name itself is in the segments.
std::filesystem::path tailFolder(const std::filesystem::path& readingFolder, const std::string& name);

std::filesystem::path segmentPath(const std::filesystem::path& folder, std::uint32_t number);
/// Numbers of the segment files in folder, ascending.
std::vector<std::uint32_t> segmentsIn(const std::filesystem::path& folder);
/// Folders in folder; empty where it is missing.
std::vector<std::filesystem::path> foldersIn(const std::filesystem::path& folder);

}  // namespace carrel
