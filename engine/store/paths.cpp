#include "store/paths.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <system_error>

#include "base/hash.h"

namespace carrel {

namespace {
constexpr std::size_t kIdDigits = 32;
}

Result<std::string> readingId(const ReadingKey& key, KvShape shape) {
    SegmentHeader identity;
    identity.key = key;
    identity.shape = shape;
    const auto page = identity.encode();  // every field with its length, and the format's version
    if (!page) return page.error();
    return sha256Hex(*page).substr(0, kIdDigits);
}

bool looksLikeReadingId(const std::string& name) {
    return name.size() == kIdDigits && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::filesystem::path tailFolder(const std::filesystem::path& readingFolder, const std::string& name) {
    return readingFolder / "tails" / sha256Hex(std::as_bytes(std::span(name))).substr(0, kIdDigits);
}

std::filesystem::path segmentPath(const std::filesystem::path& folder, std::uint32_t number) {
    char name[24];
    std::snprintf(name, sizeof name, "kv-%03u.seg", number);
    return folder / name;
}

std::vector<std::uint32_t> segmentsIn(const std::filesystem::path& folder) {
    std::vector<std::uint32_t> numbers;
    std::error_code failed;
    for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
        const std::string name = at->path().filename().string();
        std::uint32_t number = 0;
        if (name.size() < 8 || !name.starts_with("kv-")) continue;
        std::from_chars(name.data() + 3, name.data() + name.size() - 4, number);
        if (segmentPath(folder, number).filename() == name) numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

std::vector<std::filesystem::path> foldersIn(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> found;
    std::error_code failed, kind;
    for (std::filesystem::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed))
        if (at->is_directory(kind) && !at->is_symlink(kind)) found.push_back(at->path());
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace carrel
