#include "document/reader.h"

#include "base/file.h"
#include "base/hash.h"

#include <algorithm>
#include <system_error>

namespace carrel {
namespace {

constexpr std::uint64_t kMaxTextBytes = 256u << 20;
constexpr std::size_t kPdfHeaderWithin =
    1024;  // other readers look this far too: mail and web servers leave junk in front

}  // namespace

Result<ReadResult> readFileAsDocument(const std::filesystem::path& file, const std::string& sha256,
                                      const DocumentOptions& options) {
    const auto name = file.string();
    std::error_code code;
    const auto status = std::filesystem::status(file, code);
    if (status.type() == std::filesystem::file_type::not_found)
        return Error{Code::NotFound, name, "there is no such file"};
    if (code) return systemError(code.value(), name);
    if (status.type() != std::filesystem::file_type::regular)
        return Error{Code::NotADocument, name, "this is not a file"};

    const auto opened = realFileSystem().open(file, OpenMode::Read);
    if (!opened) return opened.error();
    const auto size = (*opened)->size();
    if (!size) return size.error();
    if (*size == 0) return Error{Code::NotADocument, name, "the file is empty"};
    std::string head(std::min<std::uint64_t>(*size, kPdfHeaderWithin), '\0');
    if (const auto read = (*opened)->pread(std::as_writable_bytes(std::span(head)), 0); !read) return read.error();
    const auto mark = head.find("%PDF-");

    const auto asText = [&]() -> Result<ReadResult> {
        if (*size > kMaxTextBytes)
            return Error{Code::Unsupported, name, "text files of more than 256 MiB are not read"};
        auto bytes = readFile(file, kMaxTextBytes);
        if (!bytes) return bytes.error();
        auto document = readText(std::move(*bytes), name);
        if (!document) return document.error();
        return ReadResult{std::move(*document), false};
    };
    auto result = mark == std::string::npos ? asText() : readPdf(file, options);
    // A text that only speaks of "%PDF-" is still a text.
    if (!result && result.error().code == Code::NotADocument && mark != std::string::npos && mark > 0)
        if (auto text = asText()) result = std::move(text);
    if (!result) return result.error();
    if (options.stop.stop_requested()) return Error{Code::Cancelled, name, "stopped"};
    if (sha256.empty()) {
        auto hash = sha256HexOfFile(file);
        if (!hash) return hash.error();
        result->document.sha256 = std::move(*hash);
    } else {
        result->document.sha256 = sha256;
    }
    return result;
}

Result<Document> readDocument(const std::filesystem::path& file, const DocumentOptions& options) {
    auto result = readFileAsDocument(file, {}, options);
    if (!result) return result.error();
    return std::move(result->document);
}

}  // namespace carrel
