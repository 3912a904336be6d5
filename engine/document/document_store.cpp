#include "base/file.h"
#include "base/hash.h"
#include "document/reader.h"
#include "document/text_file.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string_view>
#include <system_error>

namespace carrel {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporary = ".adopting-";
constexpr std::uint64_t kMaxTextFileBytes = 4ull << 30;

Error failed(const std::error_code& code, const fs::path& where) {
    return systemError(code.value(), where.string());
}

Status copyTo(const fs::path& from, const fs::path& to) {
    const auto source = realFileSystem().open(from, OpenMode::Read);
    if (!source) return source.error();
    const auto target = realFileSystem().open(to, OpenMode::Create);
    if (!target) return target.error();
    const auto size = (*source)->size();
    if (!size) return size.error();
    std::vector<std::byte> buffer(1u << 20);
    for (std::uint64_t at = 0; at < *size; at += buffer.size()) {
        const auto piece = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), *size - at));
        if (const auto read = (*source)->pread(piece, at); !read) return read;
        if (const auto written = (*target)->pwrite(piece, at); !written) return written;
    }
    return (*target)->sync();
}

// What an adoption that crashed left behind; a day is longer than any copy takes.
void sweep(const fs::path& root) {
    std::error_code code;
    for (auto entry = fs::directory_iterator(root, code); !code && entry != fs::directory_iterator();
         entry.increment(code)) {
        if (!entry->path().filename().string().starts_with(kTemporary)) continue;
        std::error_code ignored;
        const auto written = fs::last_write_time(entry->path(), ignored);
        if (!ignored && fs::file_time_type::clock::now() - written > std::chrono::hours(24))
            fs::remove(entry->path(), ignored);
    }
}

bool sameSize(const fs::path& a, const fs::path& b) {
    std::error_code code;
    const auto size = fs::file_size(a, code);
    return !code && size == fs::file_size(b, code) && !code;
}

}  // namespace

bool isSha256(std::string_view name) {
    return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<std::string> DocumentStore::adopt(const fs::path& file) const {
    std::error_code code;
    if (const auto status = fs::status(file, code); fs::exists(status) && !fs::is_regular_file(status))
        return Error{Code::NotADocument, file.string(), "this is not a file"};
    const auto known = sha256HexOfFile(file);
    if (!known) return known.error();
    if (sameSize(file, original(*known))) return *known;

    auto& system = realFileSystem();
    if (const auto made = system.makeDirectories(root_); !made) return made.error();
    sweep(root_);
    const auto temporary =
        root_ / (std::string(kTemporary) + std::to_string(::getpid()) + "-" + std::to_string(std::random_device{}()));
    const auto moved = [&]() -> Result<std::string> {
        if (const auto copied = copyTo(file, temporary); !copied) return copied.error();
        auto sha256 = sha256HexOfFile(temporary);  // of what was copied: the file may have changed since
        if (!sha256) return sha256.error();
        const auto folder = root_ / *sha256;
        if (const auto made = system.makeDirectories(folder); !made) return made.error();
        fs::rename(temporary, original(*sha256), code);
        if (code) return failed(code, folder);
        if (const auto synced = system.syncDirectory(folder); !synced) return synced.error();
        if (const auto synced = system.syncDirectory(root_); !synced) return synced.error();
        return sha256;
    }();
    if (!moved) fs::remove(temporary, code);
    return moved;
}

Result<Document> DocumentStore::load(const std::string& sha256, const DocumentOptions& options) const {
    if (!isSha256(sha256)) return Error{Code::NotFound, sha256, "there is no such document"};
    const auto textFile = root_ / sha256 / "text.v1";
    if (const auto bytes = readFile(textFile, kMaxTextFileBytes)) {
        auto document = parseTextFile(std::as_bytes(std::span(*bytes)), sha256, textFile.string());
        if (document) return document;
    }
    auto read = readFileAsDocument(original(sha256), sha256, options);
    if (!read) return read.error();
    // Where it cannot be written, the next opening takes longer, no more.
    if (!read->secret) {
        const auto content = writeTextFile(read->document);
        (void)writeFileAtomically(textFile, std::as_bytes(std::span(content)));
    }
    return std::move(read->document);
}

std::uint64_t DocumentStore::diskBytes(const std::string& sha256) const {
    std::uint64_t bytes = 0;
    for (const char* file : {"original", "text.v1"}) {
        std::error_code missing;
        const auto size = fs::file_size(root_ / sha256 / file, missing);
        if (!missing) bytes += size;
    }
    return bytes;
}

Status DocumentStore::remove(const std::string& sha256) const {
    if (!isSha256(sha256)) return Error{Code::NotFound, sha256, "there is no such document"};
    if (const auto removed = realFileSystem().remove(root_ / sha256); !removed) return removed;
    return realFileSystem().syncDirectory(root_);
}

}  // namespace carrel
