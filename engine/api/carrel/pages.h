#pragma once

#include <carrel/events.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace carrel {

struct PageSize {
    float width = 0, height = 0;  // points
};

/// 32 bits a pixel, 0xffRRGGBB in host order, rows of `stride` bytes.
struct PageImage {
    std::uint32_t width = 0, height = 0, stride = 0;
    std::shared_ptr<const std::vector<std::byte>> pixels;
};

/// One word of a page: its bytes in the document's text and where it stands.
struct WordBox {
    std::uint32_t first = 0, count = 0;  // bytes
    Box box;
};

/// A page as it was extracted, which is what a model reads of it.
struct PageWords {
    ByteSpan span;               // of the page, in the document's text
    std::string text;            // those bytes
    std::vector<WordBox> words;  // ascending in first; a word hyphenated over two lines is two
};

/// A place in a document to go to.
struct Target {
    std::uint32_t page = 0;  // from 1; 0: text without pages, or nowhere
    float y = 0;             // points from the page's top
    std::uint64_t byte = 0;  // of text without pages
};

/// One line of a document's table of contents.
struct OutlineEntry {
    std::string title;        // never empty
    std::uint32_t level = 0;  // from 0
    Target target;
};

/// Something on a page that leads elsewhere: to a page of the document, or to an address outside of it.
struct PageLink {
    Box box;
    Target target;        // page 0: outside
    std::string address;  // as the document has it: to be shown before it is believed
};

/// Words that were looked for, where they stand.
struct Found {
    std::uint32_t page = 0;  // from 1; 0: text without pages
    ByteSpan span;
    std::vector<Box> boxes;  // points; a line each, on the page where the words begin
};

/// Where carrel-pdf belongs to a program of this path: in ../libexec/carrel where both are installed, beside it where
/// they were built. Its absence is reported by who starts it.
std::filesystem::path pdfHelperOf(const std::filesystem::path& program);

struct PagesOptions {
    std::filesystem::path dataDir;
    std::filesystem::path pdfHelper;
    std::chrono::milliseconds pageLimit{20'000};  // after which a helper is taken to hang
};

/// Page images and text boxes of documents in the library, drawn by a helper process of its own. One thread at a time.
/// A helper that dies or hangs at a page is replaced by the next call, and the call at hand fails with HelperFailed,
/// unless a fresh helper manages what one that had served other pages did not.
class Pages {
  public:
    static Result<std::unique_ptr<Pages>> open(const PagesOptions& options);
    virtual ~Pages() = default;

    /// Sizes of all pages; empty for text without pages.
    virtual Result<std::vector<PageSize>> sizes(const std::string& document, const std::string& password) = 0;
    /// Page (from 1) drawn `widthPx` wide, at most 8192.
    virtual Result<PageImage> render(const std::string& document, const std::string& password, std::uint32_t page,
                                     std::uint32_t widthPx) = 0;
    /// The table of contents that the document brings along, or the headings of a Markdown text; often empty.
    virtual Result<std::vector<OutlineEntry>> outline(const std::string& document, const std::string& password) = 0;
    /// The links on a page (from 1).
    virtual Result<std::vector<PageLink>> links(const std::string& document, const std::string& password,
                                                std::uint32_t page) = 0;
    /// A document without pages: its text as it is (UTF-8).
    virtual Result<std::string> text(const std::string& document) = 0;
    /// The words of a page (from 1), from the stored extraction.
    virtual Result<PageWords> words(const std::string& document, const std::string& password, std::uint32_t page) = 0;
    /// Where words stand in a document, in its order, at most `most`: whatever the case, across line ends.
    virtual Result<std::vector<Found>> find(const std::string& document, const std::string& password,
                                            const std::string& words, std::uint32_t most) = 0;
    /// Loads what words() and find() answer from, so that the first of them is as fast as the next.
    virtual Status prepare(const std::string& document, const std::string& password) = 0;
    /// Lets go of the text that words() and find() keep in memory: that of the document they were asked about last.
    virtual void letGo() = 0;
};

}  // namespace carrel
