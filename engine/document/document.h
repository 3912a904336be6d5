#pragma once

#include <carrel/events.h>
#include <carrel/pages.h>
#include <carrel/result.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace carrel {

/// One page, or one section (heading to heading) of a text without pages.
struct Place {
    ByteSpan text;
    PageSize size;               // 0 x 0 without pages
    std::string heading;         // for text without pages; else empty
    std::vector<WordBox> words;  // ascending in first; empty without pages
};

enum class DocumentKind : std::uint8_t { Pdf, Markdown, PlainText };

/// A document's text (UTF-8, NFKC for PDF) and what every byte of it stands for. Immutable after it is made; any
/// thread. place i of a PDF is page i + 1; places cover the text in order; between two of them lies a separator at
/// most.
struct Document {
    std::string sha256;  // of the original's bytes
    DocumentKind kind = DocumentKind::PlainText;
    std::string title;  // the document's own; empty where it has none
    std::string text;
    std::vector<Place> places;
    std::vector<std::uint32_t> pagesWithoutText;  // from 1

    bool hasPages() const { return kind == DocumentKind::Pdf; }
    std::size_t placeOf(std::uint64_t byte) const;  // the place that holds it, or the one before
    std::vector<Box> boxesOf(ByteSpan span) const;  // one box per line, on the span's first page
};

struct DocumentOptions {
    std::filesystem::path pdfHelper;
    std::string password;
    std::function<void(std::uint32_t, std::uint32_t)> progress;  // pages done, pages in all; may be empty
    std::stop_token stop;
    std::chrono::milliseconds pageLimit{20'000};  // after which the helper is taken to hang at a page
};

/// Reads a file into a Document; the reader is picked by content, not by suffix.
/// NotFound, NotADocument (empty, binary, or damaged beyond reading), Unsupported (too large), NeedsPassword,
/// WrongPassword, NoText, HelperFailed, Cancelled, Io. Pages that fail are skipped and named in pagesWithoutText.
Result<Document> readDocument(const std::filesystem::path& file, const DocumentOptions& options);

/// Carrel's own copy: `documents/<sha256>/original`, and the extracted text beside it (`text.v1`, checksummed), which
/// spares the helper at the next opening. The text of an encrypted document is not written.
class DocumentStore {
  public:
    explicit DocumentStore(std::filesystem::path dataDir) : root_(std::move(dataDir) / "documents") {}
    /// Copies (to a temporary name, fsync, rename) and returns the SHA-256. The same bytes again are not copied again.
    Result<std::string> adopt(const std::filesystem::path& file) const;
    std::filesystem::path original(const std::string& sha256) const { return root_ / sha256 / "original"; }
    /// The document, from text.v1 where it is whole, else read again from the original.
    Result<Document> load(const std::string& sha256, const DocumentOptions& options) const;
    std::uint64_t diskBytes(const std::string& sha256) const;  // of the copy and its text
    Status remove(const std::string& sha256) const;

  private:
    std::filesystem::path root_;
};

}  // namespace carrel
