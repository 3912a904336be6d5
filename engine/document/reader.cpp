#include "document/reader.h"

#include "base/file.h"
#include "base/hash.h"

#include <algorithm>
#include <system_error>

namespace carrel {
namespace {

constexpr std::uint64_t kMaxTextBytes = 256u << 20;
constexpr std::uint64_t kMaxPdfBytes = 4ull << 30;
// Where other readers look for a PDF's first and last mark too: mail and web servers leave junk around it.
constexpr std::uint64_t kMarkWithin = 1024;

/// The open file and its size; refuses folders, devices and what is empty.
struct Input {
    std::unique_ptr<File> file;
    std::uint64_t size = 0;
};

Result<Input> openInput(const std::filesystem::path& path) {
    const auto name = path.string();
    std::error_code code;
    const auto status = std::filesystem::status(path, code);
    if (status.type() == std::filesystem::file_type::not_found)
        return Error{Code::NotFound, name, "there is no such file"};
    if (code) return systemError(code.value(), name);
    if (!std::filesystem::is_regular_file(status)) return Error{Code::NotADocument, name, "this is not a file"};
    auto file = realFileSystem().open(path, OpenMode::Read);
    if (!file) return file.error();
    const auto size = (*file)->size();
    if (!size) return size.error();
    if (*size == 0) return Error{Code::NotADocument, name, "the file is empty"};
    return Input{std::move(*file), *size};
}

Result<bool> looksLikePdf(Input& input) {
    std::string head(std::min(input.size, kMarkWithin), '\0'), tail = head;
    if (const auto read = input.file->pread(std::as_writable_bytes(std::span(head)), 0); !read) return read.error();
    const auto mark = head.find("%PDF-");
    if (mark == 0 || mark == std::string::npos) return mark == 0;
    // With something in front, it is a PDF only when it also ends like one: a text may speak of "%PDF-".
    if (const auto read = input.file->pread(std::as_writable_bytes(std::span(tail)), input.size - tail.size()); !read)
        return read.error();
    return tail.find("%%EOF") != std::string::npos;
}

Result<ReadResult> read(const std::filesystem::path& file, const DocumentOptions& options) {
    const auto name = file.string();
    auto input = openInput(file);
    if (!input) return input.error();
    const auto pdf = looksLikePdf(*input);
    if (!pdf) return pdf.error();
    if (*pdf && input->size > kMaxPdfBytes)
        return Error{Code::Unsupported, name, "PDF files of more than 4 GiB are not read"};
    if (*pdf) return readPdf(file, options);
    if (input->size > kMaxTextBytes)
        return Error{Code::Unsupported, name, "text files of more than 256 MiB are not read"};
    std::string bytes(input->size, '\0');
    if (const auto got = input->file->pread(std::as_writable_bytes(std::span(bytes)), 0); !got) return got.error();
    auto document = readText(std::move(bytes), name);
    if (!document) return document.error();
    return ReadResult{std::move(*document), false};
}

}  // namespace

Result<bool> looksLikePdf(const std::filesystem::path& file) {
    auto input = openInput(file);
    if (!input) return input.error();
    return looksLikePdf(*input);
}

Result<ReadResult> readFileAsDocument(const std::filesystem::path& file, const std::string& sha256,
                                      const DocumentOptions& options) {
    auto result = read(file, options);
    if (!result) return result.error();
    if (options.stop.stop_requested()) return Error{Code::Cancelled, file.string(), "stopped"};
    auto hash = sha256.empty() ? sha256HexOfFile(file) : Result<std::string>(sha256);
    if (!hash) return hash.error();
    result->document.sha256 = std::move(*hash);
    return result;
}

Result<Document> readDocument(const std::filesystem::path& file, const DocumentOptions& options) {
    auto result = readFileAsDocument(file, {}, options);
    if (!result) return result.error();
    return std::move(result->document);
}

}  // namespace carrel
